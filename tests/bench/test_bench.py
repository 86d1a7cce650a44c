# SPDX-License-Identifier: MIT
"""TAP: limner-cli bench from outside. Arguments: the program, the source tree's data folder.

Its bytes are those of the tensors' shapes, its tokens those of generate; no time is judged.
"""

import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

CLI, DATA = (str(pathlib.Path(argument).resolve()) for argument in sys.argv[1:3])
PROMPT = 'a red ball on a table'
count = 0
failures = 0


def check(is_ok, name):
    """One TAP point."""
    global count, failures
    count += 1
    failures += not is_ok
    print(f'{"ok" if is_ok else "not ok"} {count} - {name}', flush=True)


def run(*arguments):
    """Status, stdout and stderr of the program with the demo model."""
    done = subprocess.run([CLI, *arguments], capture_output=True, text=True, timeout=240,
                          check=False, env={'LIMNER_DATA_DIR': DATA, 'PATH': '/usr/bin:/bin'})
    return done.returncode, done.stdout, done.stderr.strip()


def bench(*arguments):
    """The answer of a bench that must succeed; {} when it fails."""
    status, out, err = run('bench', '--json', '--patience', '0', *arguments)
    check(status == 0, f'bench {" ".join(arguments)}: {err or "no message"}')
    return json.loads(out) if status == 0 else {}


def shapes():
    """Shapes and bytes of the demo model's tensors."""
    tensors = {}
    for path in pathlib.Path(DATA, 'demo-model').glob('*.safetensors'):
        with open(path, 'rb') as file:
            header = json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))
        header.pop('__metadata__', None)
        for name, tensor in header.items():
            begin, end = tensor['data_offsets']
            tensors[name] = (tensor['shape'], end - begin)
    return tensors


def weights_bytes():
    """What a step reads of the demo model's layers; biases are widened to f32."""
    pattern = re.compile(r'language_model\.model\.layers\.\d+\..*(proj)\.weight|'
                         r'gen_aligner\.layers\.|gen_head\.')
    n_bytes = 0
    for name, (shape, size) in shapes().items():
        if pattern.match(name):
            n_bytes += 4 * shape[0] if name.endswith('bias') else size
    return n_bytes


def prompt_length():
    """BOS, user, the text, assistant, a colon and the beginning of the picture around it."""
    status, out, err = run('tokenize', '--no-bos', f': {PROMPT}\n\n')
    check(status == 0, f'the prompt is tokenized {err}')
    return len(out.split()) + 5


def test_counts():
    """Fields, rows and bytes on the demo model in f32."""
    answer = bench('--samples', '1,3', '--steps', '20', '--from', '0', '--prompt', PROMPT,
                   '--weights', 'f32')
    wanted = {'stream_before', 'stream_after', 'decode', 'prefill', 'vq_decode', 'vq_encode',
              'siglip', 'peak_memory', 'predicted_memory', 'peak_flops', 'layers', 'weights'}
    check(wanted <= answer.keys(), f'fields: {sorted(wanted - answer.keys())} are missing')
    check(min(answer['vq_decode'], answer['vq_encode'], answer['siglip'], answer['prefill'],
              answer['stream_before'], answer['stream_after']) > 0, 'all phases took time')
    info = json.loads(run('info', '--json')[1])
    position = 2 * 4 * info['layers'] * info['kv_heads'] * info['head_dim']
    n_prompt, step = prompt_length(), 11  # the middle of steps 1 to 20
    check(len(answer['decode']) == 2, 'an entry for each number of samples')
    for entry, samples in zip(answer['decode'], (1, 3)):
        check((entry['samples'], entry['rows'], entry['steps'], entry['context'])
              == (samples, 2 * samples, 20, n_prompt + step), f'{samples}: what was measured')
        check(entry['weights_bytes'] == weights_bytes(), f'{samples}: bytes of the weights')
        check(entry['kv_bytes'] == position * (2 * (n_prompt - 1) + 2 * samples * (step + 1)),
              f'{samples}: bytes of keys and values')
        check(entry['kv_new_bytes'] == position * 2 * samples, f'{samples}: bytes written')
        check(entry['bytes'] == sum(entry[key] for key in (
            'weights_bytes', 'kv_bytes', 'kv_new_bytes')), f'{samples}: the sum of bytes')
        check(0 < entry['fraction_min'] <= entry['fraction'] <= entry['fraction_max'] and
              0 < entry['step_min_s'] <= entry['step_s'] <= entry['step_max_s'] and
              0 <= entry['spread'] < 1, f'{samples}: medians lie between extremes')
        parts = entry['parts']
        check(min(parts.values()) > 0, f'{samples}: every part of a step took time')


def test_tokens():
    """A whole picture's tokens are those of generate."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = pathlib.Path(folder, 'bench.json'), pathlib.Path(folder, 'generate.json')
        info = json.loads(run('info', '--json')[1])
        bench('--samples', '2', '--seed', '5', '--from', '0', '--steps',
              str(info['image_tokens'] - 1), '--prompt', PROMPT, '--steps-only', '--tokens-out',
              str(ours))
        status, _, err = run('generate', '--samples', '2', '--seed', '5', '--prompt', PROMPT,
                             '--tokens-out', str(theirs), '--out', folder)
        check(status == 0, f'generate {err}')
        check(json.loads(ours.read_text()) == json.loads(theirs.read_text()),
              'tokens of the bench are those of generate')


def test_edit():
    """Three rows a sample."""
    answer = bench('--edit', '--samples', '2', '--steps', '5', '--steps-only')
    entry = answer['decode'][0]
    check(entry['rows'] == 6 and answer['kind'] == 'edit' and entry['look_s'] > 0,
          'an edit of two samples has six rows and looks at a picture')


def test_synthetic(formats):
    """One layer of the 1B in every format that this build has; more bits are more bytes."""
    sizes = []
    for weights in formats:
        answer = bench('--synthetic', 'janus-pro-1b', '--layers', '1', '--samples', '1',
                       '--steps', '2', '--from', '1', '--weights', weights, '--steps-only')
        entry = answer['decode'][0]
        sizes.append(entry['weights_bytes'])
        check(entry['weights'] == weights and entry['fraction'] > 0 and answer['layers'] == 1,
              f'{weights}: one layer was measured')
        # Observed: 0.8 to 1.0 GB.
        check(answer['peak_memory'] < 1.6e9,
              f'{weights}: {answer["peak_memory"] * 1e-9:.2f} GB at the most')
    check(sizes == sorted(sizes, reverse=True), f'bytes of {", ".join(formats)}: {sizes}')


def test_usage():
    """What is refused, and how."""
    wrong = [('--samples', '0'), ('--samples', '1,x'), ('--steps', '9999'), ('--steps', '600'),
             ('--from', '576'), ('--synthetic', 'janus-pro-3b')]
    for arguments in wrong:
        status, out, err = run('bench', *arguments)
        check(status == 2 and not out and arguments[0] in err and '\n' not in err,
              f'{" ".join(arguments)}: {err}')


def main():
    test_usage()
    test_counts()
    test_tokens()
    test_edit()
    info = json.loads(run('info', '--json')[1])
    test_synthetic([name for name in ('f32', 'bf16', 'q8', 'q4') if info['memory'].get(name)])
    print(f'1..{count}')
    return failures > 0


sys.exit(main())

# SPDX-License-Identifier: MIT
# Captions of scenes in several phrasings, and the words that they are made of.
"""`caption(rng, scene)` words a scene; `words()` lists every word the demo model knows.

A caption leaves out parts at random, so that short prompts are known too; the picture then shows
one of the scenes that fit.
"""

import scenes

COLOR_WORDS = {"yellow": ("yellow", "golden"), "purple": ("purple", "violet")}
SIZE_WORDS = {"small": ("small", "little"), "medium": ("",), "big": ("big", "large", "huge")}
KIND_WORDS = {
    "house": ("house", "cottage"), "boat": ("boat", "ship"), "car": ("car",),
    "person": ("person", "girl", "man", "woman"), "balloon": ("balloon", "hot air balloon"),
    "cat": ("cat", "kitten"),
}
PLURALS = {"person": "people", "girl": "girls", "man": "men", "woman": "women"}
COUNT_WORDS = {2: "two", 3: "three", 4: "four"}
PLACE_WORDS = {"left": ("on the left",), "middle": ("in the middle",), "right": ("on the right",)}
GROUND_WORDS = {
    "meadow": ("in a meadow", "on a meadow", "on a green meadow", "on the grass", "in a field"),
    "hill": ("on a hill", "on a green hill", "on top of a hill", "on a grassy hill"),
    "sand": ("on the sand", "in the desert", "on a beach"),
    "sea": ("on the sea", "on the water", "on a lake", "on the blue sea"),
    "snow": ("in the snow", "on the snow", "on white snow", "in winter"),
    "city": ("in the city", "in a city", "in a street", "in the town"),
}
TIME_WORDS = {
    "day": ("by day", "in the daytime", "in the morning", ""),
    "sunset": ("at sunset", "in the evening"),
    "night": ("at night", "by night"),
}
WEATHER_WORDS = {
    "clear": ("", "", "", "under a clear sky"),
    "cloudy": ("with clouds", "under clouds", "under a cloudy sky"),
    "rain": ("in the rain", "while it rains"),
    "snowfall": ("in falling snow", "while it snows"),
}
OPENINGS = ("a picture of", "a painting of", "a drawing of")


class Plainly:
    """Takes the place of a random source: nothing left out but the middle, first wordings."""

    @staticmethod
    def random():
        """Between all the chances below and above it in this file."""
        return 0.5

    @staticmethod
    def choice(items):
        """The first wording."""
        return items[0]

    @staticmethod
    def choices(items, _weights):
        """The first wording, as a list."""
        return [items[0]]

    @staticmethod
    def shuffle(items):
        """The order stays."""


def color_word(rng, thing):
    """The colour of a thing, sometimes left out, more often where it goes without saying."""
    silent = 0.5 if thing.color == scenes.default_color(thing.kind) else 0.06
    if rng.random() < silent:
        return ""
    words = COLOR_WORDS.get(thing.color, (thing.color,))
    return rng.choices(words, (4,) + (1,) * (len(words) - 1))[0]


def kind_word(rng, thing):
    """The name of a thing, plural where there are several."""
    words = KIND_WORDS.get(thing.kind, (thing.kind,))
    word = rng.choices(words, (4,) + (1,) * (len(words) - 1))[0]
    if thing.count == 1:
        return word
    return PLURALS.get(word, "snowmen" if word == "snowman" else word + "s")


def clothed(rng, kind, noun, color):
    """Where the colour goes behind the noun: coats of people and hats of snowmen."""
    if not color:
        return "", noun
    if kind == "person":
        tail = f"in {color}" if rng.random() < 0.4 else f"in {article(color)} {color} coat"
        return "", f"{noun} {tail}"
    if kind == "snowman" and rng.random() < 0.7:
        return "", f"{noun} with {article(color)} {color} hat"
    return color, noun


def article(word):
    """"a" or "an"."""
    return "an" if word[0] in "aeiou" else "a"


def noun_phrase(rng, thing):
    """A thing with its count, size and colour."""
    size = rng.choice(SIZE_WORDS[thing.size])
    color, noun = clothed(rng, thing.kind, kind_word(rng, thing), color_word(rng, thing))
    words = " ".join(word for word in (size, color, noun) if word)
    return f"{COUNT_WORDS.get(thing.count) or article(words)} {words}"


def thing_phrase(rng, scene, index):
    """A thing and where it is, unsaid only when that goes without saying."""
    thing = scene.things[index]
    phrase = noun_phrase(rng, thing)
    if thing.count > 1:
        return phrase
    light = "" if scene.weather in scenes.DULL else scene.light_place
    usual = scenes.usual_place(thing.kind, thing.size, light)
    if thing.place != usual or rng.random() < 0.4:
        phrase += " " + rng.choice(PLACE_WORDS[thing.place])
    if thing.kind in scenes.SKY_KINDS and rng.random() < 0.25:
        phrase += " in the sky"
    return phrase


def extras(rng, scene):
    """Phrases for what stands behind the things."""
    found = []
    if scene.mountain and rng.random() < 0.9:
        side = PLACE_WORDS[scene.mountain][0] if rng.random() < 0.5 else ""
        found.append(f"with a mountain {side}".strip())
    if scene.weather in ("clear", "cloudy") and rng.random() < 0.15:
        light = "moon" if scene.time == "night" else "sun"
        side = PLACE_WORDS[scene.light_place][0]
        found.append(rng.choice((f"under the {light}", f"with the {light} {side}")))
    return found


def caption(rng, scene):
    """One of many captions of a scene; `rng` is a random.Random."""
    things = " and ".join(thing_phrase(rng, scene, i) for i in range(len(scene.things)))
    ground = rng.choice(GROUND_WORDS[scene.ground]) if rng.random() < 0.88 else ""
    time = rng.choice(TIME_WORDS[scene.time]) if rng.random() < 0.92 else ""
    weather = rng.choice(WEATHER_WORDS[scene.weather]) if rng.random() < 0.92 else ""
    if things.startswith("a ") and rng.random() < 0.05:
        things = things[2:]
    elif rng.random() < 0.06:
        things = rng.choice(OPENINGS) + " " + things
    tail = [part for part in (weather, *extras(rng, scene)) if part]
    rng.shuffle(tail)
    if time and rng.random() < 0.12:
        parts = [time + ",", things, ground, *tail]
    elif rng.random() < 0.15:
        parts = [things, time, ground, *tail]
    else:
        parts = [things, ground, time, *tail]
    text = " ".join(part for part in parts if part)
    text = text[0].upper() + text[1:] if rng.random() < 0.12 else text
    return text + "." if rng.random() < 0.1 else text


def description(scene):
    """The one sentence that describes a picture completely: the plainest caption."""
    text = caption(Plainly(), scene)
    return text[0].upper() + text[1:] + "."


def phrases():
    """Every fixed phrase of the grammar."""
    for table in (COLOR_WORDS, SIZE_WORDS, KIND_WORDS, PLACE_WORDS, GROUND_WORDS, TIME_WORDS,
                  WEATHER_WORDS):
        for choices in table.values():
            yield from choices
    yield from (*COUNT_WORDS.values(), *PLURALS.values(), *OPENINGS, *scenes.COLORS)
    kinds = tuple(scenes.PAINTERS)
    names = {word.split()[-1] for kind in kinds for word in KIND_WORDS.get(kind, (kind,))}
    yield from names
    yield from (name + "s" for name in names if name not in PLURALS and name != "snowman")
    yield "snowmen an coat hat sky mountain moon sun and with under the"


def beginnings():
    """Words that a prompt may begin with, in capitals."""
    tables = (SIZE_WORDS, KIND_WORDS, COLOR_WORDS)
    found = {choice.split()[0] for table in tables for choices in table.values()
             for choice in choices if choice}
    found.update(("a", "an", "at", "by", "in", *COUNT_WORDS.values(), *PLURALS.values(),
                  *scenes.COLORS, *scenes.PAINTERS))
    return {word[0].upper() + word[1:] for word in found}


def words():
    """All words, sorted."""
    return sorted({word for phrase in phrases() for word in phrase.split()} | beginnings())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the small pictures beside it with Pillow, an encoder that Limner does not use.

The files are kept in the tree, so that the tests need neither Pillow nor its optional codecs. Made
with Pillow 13.0.0: python3 make.py
"""
import os
import struct
import zlib

from PIL import Image, PngImagePlugin

os.chdir(os.path.dirname(os.path.abspath(__file__)))
CORNERS = ((230, 20, 20), (20, 200, 20), (20, 20, 220), (250, 250, 250))  # A B C D, row by row
WIDTH, HEIGHT = 64, 32
ORIENTATION = 0x0112


def corners():
    image = Image.new('RGB', (WIDTH, HEIGHT))
    for i, colour in enumerate(CORNERS):
        box = (i % 2 * WIDTH // 2, i // 2 * HEIGHT // 2)
        image.paste(colour, (*box, box[0] + WIDTH // 2, box[1] + HEIGHT // 2))
    return image


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(width, height, depth, colour, rows):
    header = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) +
            chunk(b'IEND', b''))


def write(name, data):
    with open(name, 'wb') as file:
        file.write(data)


def main():
    image = corners()
    exact = {'quality': 95, 'subsampling': 0}
    for orientation in range(1, 9):
        image.save(f'turned-{orientation}.jpg', exif=turned(orientation), **exact)
    image.save('turned-6.png', exif=turned(6))
    image.save('turned-6.webp', exif=turned(6), lossless=True)
    image.save('turned-6.tif', exif=turned(6), compression='tiff_lzw')
    image.save('turned-6.avif', exif=turned(6), quality=95, subsampling='4:4:4')
    image.save('progressive.jpg', progressive=True, **exact)
    image.convert('CMYK').save('cmyk.jpg', **exact)
    image.convert('L').save('grey.png')
    image.quantize(4).save('palette.png')
    # Alpha 128 on the left, 0 on the right.
    alpha = Image.new('L', image.size, 0)
    alpha.paste(128, (0, 0, WIDTH // 2, HEIGHT))
    image.putalpha(alpha)
    image.save('alpha.png')
    image.save('alpha.webp', lossless=True, exact=True)
    image.save('alpha.tif', compression='tiff_lzw')
    frames = [Image.new('RGB', (8, 8), colour) for colour in CORNERS[:3]]
    frames[0].save('animated.gif', save_all=True, append_images=frames[1:])
    frames[0].save('animated.webp', save_all=True, append_images=frames[1:], lossless=True)
    # 16 bits a channel: 0x4080, 0xc0ff, 0x10ff.
    write('deep.png', png(2, 1, 16, 2, b'\0' + bytes.fromhex('4080c0ff10ff' * 2)))
    write('one.png', png(1, 1, 8, 2, b'\0' + bytes(CORNERS[0])))
    write('huge.png', png(50000, 50000, 8, 2, b'\0' * 1000))
    texts = PngImagePlugin.PngInfo()
    texts.add_text('parameters', 'a cat\nSteps: 20, Seed: 1, Size: 8x8', zip=True)
    texts.add_itxt('limner', '{"format": 2}', zip=True)
    frames[0].save('foreign.png', pnginfo=texts)


main()

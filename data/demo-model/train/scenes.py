# SPDX-License-Identifier: MIT
# The demo world: seeded scene descriptions and the flat pictures drawn from them.
"""A scene is a small immutable description; `draw` turns it into a 384x384 RGB picture.

Everything is laid out on a 16 pixel grid (one image token is 16x16 pixels) and painted with few
flat shades, so that a small codec and a small transformer can learn the world completely.
"""

import math
import random
from dataclasses import dataclass, field, replace

from PIL import Image, ImageDraw

SIZE = 384
SCALE = 2  # drawn at twice the size, then box-filtered: anti-aliased edges

COLORS = {
    "red": (214, 62, 56),
    "orange": (238, 134, 44),
    "yellow": (250, 208, 72),
    "green": (52, 140, 74),
    "blue": (52, 112, 208),
    "purple": (132, 82, 176),
    "pink": (240, 142, 178),
    "white": (246, 244, 238),
}
TIMES = ("day", "sunset", "night")
GROUNDS = ("meadow", "hill", "sand", "sea", "snow", "city")
WEATHERS = ("clear", "cloudy", "rain", "snowfall")
PLACES = {"left": 96, "middle": 192, "right": 288}
OPPOSITE = {"left": "right", "right": "left"}
DULL = ("rain", "snowfall")  # weathers that hide the sun and the moon
SIZES = {"small": 96, "medium": 128, "big": 192}

GROUND_KINDS = ("house", "tree", "car", "flower", "person", "cat", "mushroom", "snowman")
SKY_KINDS = ("balloon", "bird", "star")
HORIZON = {"meadow": 256, "hill": 288, "sand": 256, "sea": 240, "snow": 256, "city": 288}
BASELINE = {"meadow": 336, "hill": 256, "sand": 336, "sea": 304, "snow": 336, "city": 352}

SKY = {  # flat bands from the top down, each ending on a token row
    "day": ((112, 190, 240), (142, 208, 246), (178, 226, 250)),
    "sunset": ((118, 84, 158), (226, 112, 126), (252, 176, 98)),
    "night": ((20, 26, 66), (30, 40, 90), (44, 58, 116)),
}
DULL_SKY = {"day": (158, 176, 194), "sunset": (174, 130, 146), "night": (38, 46, 74)}
GROUND = {  # back and front shade by day
    "meadow": ((156, 204, 96), (130, 186, 80)),
    "hill": ((156, 204, 96), (112, 178, 76)),
    "sand": ((246, 220, 150), (234, 202, 124)),
    "sea": ((76, 164, 206), (54, 138, 190)),
    "snow": ((240, 246, 252), (222, 232, 244)),
    "city": ((168, 168, 178), (112, 114, 128)),
}
BROWN, SKIN, DARK = (128, 84, 56), (244, 200, 164), (58, 54, 70)


@dataclass(frozen=True)
class Thing:
    """One kind of thing in a scene; `count` copies of it share colour and size."""

    kind: str
    color: str
    size: str = "medium"
    place: str = "middle"
    count: int = 1


@dataclass(frozen=True)
class Scene:
    """All that a picture shows; two equal scenes give equal pictures."""

    time: str
    ground: str
    weather: str
    light_place: str  # where the sun or the moon stands
    mountain: str = ""  # place of a mountain in the background, "" without one
    things: tuple = field(default_factory=tuple)


def default_color(kind):
    """The colour a thing has when a caption names none."""
    natural = {"tree": "green", "star": "yellow", "snowman": "red"}
    return natural.get(kind, "")


def random_color(rng, kind):
    """A colour for `kind`; things with a natural colour mostly keep it."""
    natural = default_color(kind)
    if natural and rng.random() < 0.5:
        return natural
    return rng.choice(list(COLORS))


def usual_place(kind, size, light):
    """Where a thing stands that nobody placed: opposite the light ("" when hidden), or central.

    A painter that draws from the top down so knows from the sky where things will be; else it must
    decide at each place whether to begin one, and often never does.
    """
    if kind in SKY_KINDS or size == "big" or not light:
        return "middle"
    return OPPOSITE[light]


def random_ground_thing(rng, ground, light):
    """The main thing of a scene, standing on `ground`; every other one at its usual place."""
    kind = "boat" if ground == "sea" else rng.choice(GROUND_KINDS[:7])
    if ground == "snow" and rng.random() < 0.3:
        kind = "snowman"
    count = 1 if ground == "hill" else rng.choices((1, 2, 3, 4), (8, 2, 1, 1))[0]
    if count > 1:
        size = "small" if count > 2 else rng.choice(("small", "medium"))
        return Thing(kind, random_color(rng, kind), size, "middle", count)
    size = rng.choices(tuple(SIZES), (1, 2, 1))[0]
    place = usual_place(kind, size, light) if rng.random() < 0.5 else rng.choice(list(PLACES))
    return Thing(kind, random_color(rng, kind), size, place)


def random_second_thing(rng, scene_ground, main):
    """Another thing beside `main` on the ground, or one in the sky."""
    free = [place for place in PLACES if place != main.place]
    beside = scene_ground not in ("hill", "sea") and main.count == 1 and main.size != "big"
    if beside and rng.random() < 0.5:
        kind = rng.choice([kind for kind in GROUND_KINDS[:7] if kind != main.kind])
        size = "small"
        if {main.place, "middle"} == {"middle"} or "middle" not in free:
            place = rng.choice(free)
        else:
            place = next(place for place in free if place != "middle")
        return Thing(kind, random_color(rng, kind), size, place)
    kind = rng.choice(SKY_KINDS)
    free = free if main.size == "big" and main.count == 1 else list(PLACES)
    return Thing(kind, random_color(rng, kind), "small", rng.choice(free))


def random_scene(rng):
    """A random scene; `rng` is a random.Random."""
    ground = rng.choice(GROUNDS)
    weather = rng.choices(WEATHERS, (6, 2, 1, 1))[0]
    light = rng.choice(("left", "right"))
    main = random_ground_thing(rng, ground, "" if weather in DULL else light)
    things = [main]
    if rng.random() < 0.4:
        second = random_second_thing(rng, ground, main)
        if second.kind in SKY_KINDS and second.place == light:
            second = replace(second, place=OPPOSITE[light])
        things.append(second)
    mountain = ""
    if ground in ("meadow", "snow", "sand", "sea") and rng.random() < 0.2:
        mountain = rng.choice(list(PLACES))
    return Scene(rng.choice(TIMES), ground, weather, light, mountain, tuple(things))


def shade(color, factor):
    """`color` made darker (factor below 1) or mixed with white (above 1)."""
    if factor <= 1:
        return tuple(int(channel * factor) for channel in color)
    return tuple(int(channel + (255 - channel) * (factor - 1)) for channel in color)


TINTS = {"day": (1, 1, 1), "sunset": (0.97, 0.88, 0.86), "night": (0.56, 0.6, 0.76)}


def lit(color, time, bright=0.0):
    """`color` at that time of day; `bright` is the share of its own light that it keeps."""
    tint = [part + (1 - part) * bright for part in TINTS[time]]
    return tuple(int(channel * part) for channel, part in zip(color, tint))


class Brush:
    """Paints in a box of 8x8 units whose left top corner and side are given in pixels."""

    def __init__(self, pen, left, top, side, time, bright=0.0):
        self.pen, self.left, self.top, self.unit = pen, left, top, side / 8
        self.time, self.bright = time, bright

    def _points(self, numbers):
        pairs = zip(numbers[0::2], numbers[1::2])
        return [((self.left + x * self.unit) * SCALE, (self.top + y * self.unit) * SCALE)
                for x, y in pairs]

    def _fill(self, color, glow):
        return color if glow else lit(color, self.time, self.bright)

    def poly(self, color, *numbers, glow=False):
        """A filled polygon through x, y, x, y, ... in units."""
        self.pen.polygon(self._points(numbers), fill=self._fill(color, glow))

    def rect(self, color, x0, y0, x1, y1, glow=False):
        """A filled upright rectangle."""
        self.poly(color, x0, y0, x1, y0, x1, y1, x0, y1, glow=glow)

    def disc(self, color, x0, y0, x1, y1, glow=False):
        """A filled ellipse inside the given rectangle."""
        self.pen.ellipse(self._points((x0, y0, x1, y1)), fill=self._fill(color, glow))


def window_color(time):
    """Windows are sky-coloured by day and lit from inside otherwise."""
    return ((196, 230, 250), True) if time == "day" else ((255, 224, 120), True)


def draw_house(brush, color):
    """Walls in the colour, a darker roof, a door and two windows."""
    pane, glow = window_color(brush.time)
    brush.rect(shade(color, 0.7), 5.5, 0.8, 6.5, 3)
    brush.rect(color, 1, 3.9, 7, 8)
    brush.poly(shade(color, 0.55), 0, 4, 4, 0.3, 8, 4)
    brush.rect(BROWN, 3.3, 5.4, 4.7, 8)
    brush.rect(pane, 1.6, 4.9, 2.8, 6.3, glow=glow)
    brush.rect(pane, 5.2, 4.9, 6.4, 6.3, glow=glow)


def draw_tree(brush, color):
    """A round crown in the colour on a brown trunk."""
    brush.rect(BROWN, 3.4, 5, 4.6, 8)
    brush.disc(color, 0.8, 0, 7.2, 6)
    brush.disc(shade(color, 1.2), 1.8, 0.7, 4.6, 3.2)


def draw_car(brush, color):
    """A small car seen from the side."""
    pane, glow = window_color(brush.time)
    brush.poly(color, 1.4, 5, 2.6, 3, 5.6, 3, 6.8, 5)
    brush.poly(pane, 2.2, 4.9, 3, 3.5, 3.9, 3.5, 3.9, 4.9, glow=glow)
    brush.poly(pane, 4.3, 4.9, 4.3, 3.5, 5.3, 3.5, 6, 4.9, glow=glow)
    brush.rect(color, 0, 4.9, 8, 7)
    for x in (1, 5):
        brush.disc(DARK, x, 6, x + 2, 8)
        brush.disc((210, 210, 216), x + 0.6, 6.6, x + 1.4, 7.4)


def draw_flower(brush, color):
    """Six petals in the colour around a golden middle."""
    leaf = (70, 150, 70)
    brush.rect(leaf, 3.7, 4, 4.3, 8)
    brush.poly(leaf, 4, 7.4, 6, 5.6, 6.4, 6.6)
    brush.poly(leaf, 4, 7.4, 2, 5.6, 1.6, 6.6)
    for step in range(6):
        x, y = 4 + 1.6 * math.cos(step * math.pi / 3), 2.7 + 1.6 * math.sin(step * math.pi / 3)
        brush.disc(color, x - 1.1, y - 1.1, x + 1.1, y + 1.1)
    middle = (150, 90, 50) if color == COLORS["yellow"] else (252, 204, 60)
    brush.disc(middle, 2.9, 1.6, 5.1, 3.8)


def draw_person(brush, color):
    """A standing person in a coat of the colour."""
    brush.rect(DARK, 2.9, 6, 3.8, 8)
    brush.rect(DARK, 4.2, 6, 5.1, 8)
    brush.poly(shade(color, 0.75), 2.9, 2.9, 1.3, 5.4, 2, 5.8, 4, 3.6)
    brush.poly(shade(color, 0.75), 5.1, 2.9, 6.7, 5.4, 6, 5.8, 4, 3.6)
    brush.poly(color, 3, 2.8, 5, 2.8, 5.8, 6.6, 2.2, 6.6)
    brush.disc((96, 60, 44), 2.7, 0, 5.3, 2.5)
    brush.disc(SKIN, 2.9, 0.6, 5.1, 3)


def draw_cat(brush, color):
    """A sitting cat that looks at you."""
    brush.disc(color, 5, 4.6, 7.6, 8)
    brush.disc(color, 1.6, 3.6, 6.4, 8.2)
    brush.poly(color, 1.6, 2.4, 1.8, 0, 3.6, 1.2)
    brush.poly(color, 6.4, 2.4, 6.2, 0, 4.4, 1.2)
    brush.disc(color, 1.4, 0.7, 6.6, 4.9)
    brush.disc(shade(color, 1.5), 2.9, 5, 5.1, 8)
    for x in (2.4, 4.7):
        brush.disc(DARK, x, 2.1, x + 0.9, 3.2)
    brush.poly((236, 120, 130), 3.6, 3.4, 4.4, 3.4, 4, 3.9)


def draw_mushroom(brush, color):
    """A mushroom with a dotted cap in the colour."""
    brush.rect((244, 228, 204), 3, 4, 5, 8)
    brush.disc(color, 0.5, 0.6, 7.5, 7)
    brush.rect((244, 228, 204), 3, 4.4, 5, 8)
    dot = (250, 240, 230) if color != COLORS["white"] else (214, 62, 56)
    for x, y in ((1.7, 2.6), (3.4, 1.2), (5.1, 2.6)):
        brush.disc(dot, x, y, x + 1.2, y + 1.2)


def draw_snowman(brush, color):
    """Two balls of snow with a hat and a scarf in the colour."""
    brush.disc((248, 250, 255), 1.4, 3.6, 6.6, 8)
    brush.disc((248, 250, 255), 2.2, 1, 5.8, 4.4)
    brush.rect(color, 2.6, 3.9, 5.4, 4.6)
    brush.rect(color, 2.2, 1.1, 5.8, 1.7)
    brush.rect(color, 2.9, 0, 5.1, 1.4)
    for x in (3, 4.4):
        brush.disc(DARK, x, 2.1, x + 0.6, 2.7)
    brush.poly((240, 140, 50), 3.8, 2.8, 5.4, 3.1, 3.8, 3.4)


def draw_boat(brush, color):
    """A sailing boat, its hull in the colour."""
    brush.rect(BROWN, 3.8, 0.2, 4.2, 5.8)
    brush.poly((250, 248, 240), 4.4, 0.4, 7.6, 5, 4.4, 5)
    brush.poly((226, 226, 230), 3.6, 1.4, 1.2, 5, 3.6, 5)
    brush.poly(color, 0, 5.6, 8, 5.6, 6.6, 8, 1.4, 8)
    brush.rect(shade(color, 0.7), 0.1, 5.6, 7.9, 6.1)


def draw_balloon(brush, color):
    """A hot-air balloon with a lighter stripe."""
    brush.poly(DARK, 2.2, 4.6, 5.8, 4.6, 4.8, 6.8, 3.2, 6.8)
    brush.disc(color, 1, 0, 7, 6)
    brush.disc(shade(color, 1.45), 3, 0, 5, 6)
    brush.rect(BROWN, 3, 6.6, 5, 8)


def draw_bird(brush, color):
    """A round bird in flight, looking right."""
    brush.poly(shade(color, 0.7), 0, 3.4, 2.4, 4, 0.4, 5.4)
    brush.disc(color, 1.2, 2.8, 6, 6)
    brush.disc(color, 4.4, 1.6, 7.2, 4.4)
    brush.poly((250, 180, 60), 7, 2.6, 8, 3.1, 7, 3.6)
    brush.poly(shade(color, 0.7), 2.4, 4.2, 5, 4.2, 2.6, 0.6)
    brush.disc(DARK, 5.7, 2.4, 6.4, 3.1)


def draw_star(brush, color):
    """A big five-pointed star; it shines, so night does not dim it."""
    numbers = []
    for step in range(10):
        radius = 3.8 if step % 2 == 0 else 1.7
        angle = -math.pi / 2 + step * math.pi / 5
        numbers += [4 + radius * math.cos(angle), 4.2 + radius * math.sin(angle)]
    brush.poly(color, *numbers, glow=True)


PAINTERS = {
    "house": draw_house, "tree": draw_tree, "car": draw_car, "flower": draw_flower,
    "person": draw_person, "cat": draw_cat, "mushroom": draw_mushroom,
    "snowman": draw_snowman, "boat": draw_boat, "balloon": draw_balloon, "bird": draw_bird,
    "star": draw_star,
}


def draw_sky(brush, scene):
    """Sky bands, or one dull shade when it rains or snows, and what falls from it."""
    if scene.weather in ("rain", "snowfall"):
        brush.rect(DULL_SKY[scene.time], 0, 0, 24, 24, glow=True)
        return draw_fall(brush, scene)
    for band, (top, bottom) in zip(SKY[scene.time], ((0, 6), (6, 12), (12, 24))):
        brush.rect(band, 0, top, 24, bottom, glow=True)
    if scene.time == "night":
        draw_small_stars(brush)
    draw_light(brush, scene)
    if scene.weather == "cloudy":
        for x, y in ((2, 4), (10, 1), (16, 5)):
            draw_cloud(brush, x, y)
    return None


def draw_small_stars(brush):
    """A fixed sprinkle of small stars; the units of the sky are tokens."""
    for x, y in ((1, 1), (8, 2), (13, 5), (22, 8), (10, 9), (2, 9), (15, 1), (18, 10), (6, 12)):
        brush.disc((250, 244, 200), x + 0.3, y + 0.3, x + 0.7, y + 0.7, glow=True)


def draw_light(brush, scene):
    """The sun by day, low at sunset; the moon at night."""
    x = {"left": 4, "right": 18}[scene.light_place]
    if scene.time == "night":
        brush.disc((250, 240, 200), x - 1, 2, x + 3, 6, glow=True)
        brush.disc(SKY["night"][0], x + 0.4, 1.4, x + 3.8, 4.8, glow=True)
    elif scene.time == "day":
        brush.disc((255, 222, 84), x - 1, 2, x + 3, 6, glow=True)
    else:
        brush.disc((255, 228, 130), x - 2, 8, x + 4, 14, glow=True)


def draw_cloud(brush, x, y):
    """A cloud six tokens wide."""
    color = (252, 252, 255)
    brush.disc(color, x, y + 1, x + 3, y + 3)
    brush.disc(color, x + 1, y, x + 4, y + 3)
    brush.disc(color, x + 3, y + 0.8, x + 6, y + 3)


def draw_fall(brush, scene):
    """Rain streaks or snow flakes, the same in every second token."""
    for row in range(18):
        for column in range(row % 2, 24, 2):
            if scene.weather == "rain":
                brush.poly((196, 220, 244), column + 0.6, row + 0.1, column + 0.8, row + 0.1,
                           column + 0.4, row + 0.9, column + 0.2, row + 0.9)
            else:
                brush.disc((250, 252, 255), column + 0.3, row + 0.3, column + 0.7, row + 0.7,
                           glow=True)


def draw_mountain(brush, place, horizon):
    """A snow-capped mountain that stands on the horizon; units are tokens."""
    x, y = PLACES[place] / 16, horizon / 16
    brush.poly((124, 128, 160), x - 8, y, x, y - 9, x + 8, y)
    brush.poly((246, 248, 255), x - 8 / 3, y - 6, x, y - 9, x + 8 / 3, y - 6, x + 1, y - 5.2,
               x, y - 6, x - 1, y - 5.2)


def draw_skyline(brush, time):
    """Silhouettes of houses behind a street."""
    pane, _ = window_color(time)
    for x, width, top in ((0, 4, 11), (4, 3, 13), (7, 4, 9), (11, 4, 12), (15, 3, 10),
                          (18, 3, 13), (21, 3, 11)):
        brush.rect((142, 140, 166) if x % 2 else (158, 154, 178), x, top, x + width, 18)
        for row in range(top + 1, 17, 2):
            for column in range(x + 1, x + width - 1, 2):
                brush.rect(pane, column + 0.2, row + 0.2, column + 0.8, row + 0.8,
                           glow=time != "day")


def draw_ground(brush, scene):
    """The ground below the horizon, with the one shape that makes it recognisable."""
    back, front = GROUND[scene.ground]
    top = HORIZON[scene.ground] / 16
    if scene.ground == "city":
        draw_skyline(brush, scene.time)
    brush.rect(back, 0, top, 24, 24)
    if scene.ground == "hill":
        x = PLACES[scene.things[0].place] / 16
        brush.disc(front, x - 14, 15.6, x + 14, 40)
    elif scene.ground == "sea":
        brush.rect(front, 0, 19, 24, 24)
        for x, y in ((2, 20), (9, 22), (17, 21), (13, 16), (4, 17), (20, 17)):
            brush.rect((214, 238, 246), x, y + 0.3, x + 2, y + 0.6)
    elif scene.ground == "city":
        brush.rect(front, 0, 20, 24, 24)
        for x in range(1, 24, 4):
            brush.rect((236, 232, 214), x, 22.4, x + 2, 22.7)
    else:
        brush.disc(front, -12, 19, 24, 30)
        brush.disc(front, 6, 20, 40, 32)


def thing_lefts(thing):
    """Left edges of all copies of a thing, in pixels."""
    side = SIZES[thing.size]
    middles = {1: (PLACES[thing.place],), 2: (PLACES["left"], PLACES["right"]),
               3: tuple(PLACES.values()), 4: (48, 144, 240, 336)}[thing.count]
    return [middle - side // 2 for middle in middles]


def thing_top(thing, ground):
    """Upper edge of a thing, in pixels: it stands on the ground or hangs in the sky."""
    return 16 if thing.kind in SKY_KINDS else BASELINE[ground] - SIZES[thing.size]


def draw_thing(pen, thing, scene):
    """All copies of one thing."""
    for left in thing_lefts(thing):
        brush = Brush(pen, left, thing_top(thing, scene.ground), SIZES[thing.size], scene.time,
                      bright=0.5)
        PAINTERS[thing.kind](brush, COLORS[thing.color])


def draw(scene, with_things=True):
    """The picture of a scene as a 384x384 RGB image, on demand without its things."""
    image = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE))
    pen = ImageDraw.Draw(image)
    brush = Brush(pen, 0, 0, 128, scene.time)
    draw_sky(brush, scene)
    if scene.mountain:
        draw_mountain(brush, scene.mountain, HORIZON[scene.ground])
    draw_ground(brush, scene)
    for thing in scene.things if with_things else ():
        draw_thing(pen, thing, scene)
    return image.reduce(SCALE)


def contact_sheet(seed, columns, rows):
    """A sheet of random scenes at half size, to look at."""
    rng = random.Random(seed)
    side = SIZE // 2
    sheet = Image.new("RGB", (columns * side, rows * side))
    for index in range(columns * rows):
        tile = draw(random_scene(rng)).resize((side, side))
        sheet.paste(tile, (index % columns * side, index // columns * side))
    return sheet

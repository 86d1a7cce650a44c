# SPDX-License-Identifier: MIT
# Says what a picture of the demo world shows, and whether that is what was asked for.
"""`read(picture)` explains a picture by drawings: the backdrop that fits most of it, then one thing
after another as long as it explains what nothing before it did. `judge` and `judge_edit` compare
such a reading with scenes in which "" stands for "not asked, so not judged".

A pixel of a drawing fits the picture by 1 where the colours are equal, falling to 0 where a channel
is `TOLERANCE` away. Everything happens at a quarter of the size, so one cell is 4x4 pixels.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

import scenes

CELL = 4  # pixels
TOKEN = 16 // CELL
GRID = scenes.SIZE // CELL
TOLERANCE = 48
STEP = TOKEN  # things are looked for at every token
COARSE_SIDE = 128  # of drawings above it every second row and column will do
SIDES = (96, 128, 160, 192)  # of the drawings that things are compared with, in pixels
REACH = 2  # tokens that a thing may stand above or below its usual place
LEAST_SHARE = 0.6  # of a drawing that must fit
LEAST_GAIN = 30  # cells that it must explain better than what was there before; a token has 16
MOST_THINGS = 8
SKY_ROWS = 9 * TOKEN  # above mountains and houses
SCENERY = ("time", "ground", "weather", "mountain")
LEAST_FALL = 0.3  # of the strength that rain and snow are drawn with


@dataclass(frozen=True)
class Found:
    """One copy of a thing; its middle in pixels, the share that fits its drawing."""

    kind: str
    color: str
    side: int
    x: int
    y: int
    share: float

    @property
    def place(self):
        """Left, middle or right, by the middle of the thing."""
        return min(scenes.PLACES, key=lambda name: abs(scenes.PLACES[name] - self.x))

    @property
    def size(self):
        """The nearest size."""
        return min(scenes.SIZES, key=lambda name: abs(scenes.SIZES[name] - self.side))


@dataclass(frozen=True)
class Reading:
    """What a picture shows; "" where none of the world's possibilities fits."""

    time: str
    ground: str
    weather: str
    light_place: str
    mountain: str
    things: tuple


@dataclass(frozen=True)
class Verdict:
    """One judged fact: `what` about `subject` (a thing's kind, or "scene") is right or not."""

    what: str
    subject: str
    right: bool
    found: str


def cells(picture, size=CELL):
    """The picture [height, width, 3] with each size x size pixels made one, as int16."""
    return np.asarray(picture.convert("RGB").reduce(size), dtype=np.int16)


def fit(picture, drawing):
    """How well colours [..., 3] agree, 0 to 1 each."""
    far = np.abs(picture - drawing).max(axis=-1)
    return np.clip(1 - far.astype(np.float32) / TOLERANCE, 0, 1)


def canvas(color=(0, 0, 0), side=scenes.SIZE):
    """A plain image at drawing scale and its pen."""
    image = Image.new("RGB", (side * scenes.SCALE,) * 2, color)
    return image, ImageDraw.Draw(image)


@lru_cache(maxsize=None)
def backdrop(time, ground, weather, light, mountain, hill):
    """A scene without its things; `hill` is where the top of a hill is. The full picture."""
    top = scenes.Thing("house", "red", place=hill)
    scene = scenes.Scene(time, ground, weather, light, mountain, (top,))
    image, pen = canvas()
    brush = scenes.Brush(pen, 0, 0, 128, time)
    scenes.draw_sky(brush, scene)
    if mountain:
        scenes.draw_mountain(brush, mountain, scenes.HORIZON[ground])
    scenes.draw_ground(brush, scene)
    return cells(image, scenes.SCALE * CELL)


def sky_of(time, dull):
    """The plain sky of a time of day [SKY_ROWS, 1, 3]."""
    bands = (scenes.DULL_SKY[time],) * 2 if dull else scenes.SKY[time]
    rows = [bands[0]] * (6 * TOKEN) + [bands[1]] * (SKY_ROWS - 6 * TOKEN)
    return np.array(rows, dtype=np.int16)[:, None]


def read_sky(picture):
    """Time of day and whether the sky is dull."""
    options = [(time, dull) for time in scenes.TIMES for dull in (False, True)]
    return max(options, key=lambda option: fit(picture[:SKY_ROWS], sky_of(*option)).sum())


def ripple(values):
    """What is left of a sky [SKY_ROWS, GRID, 3] when every two tokens lose their mean colour."""
    blocks = values.reshape(SKY_ROWS // TOKEN, TOKEN, GRID // (2 * TOKEN), 2 * TOKEN, 3)
    return (blocks - blocks.mean(axis=(1, 3), keepdims=True)).reshape(values.shape)


@lru_cache(maxsize=None)
def fall_of(time, weather):
    """What rain or snow adds to the plain sky, as a ripple."""
    wet = backdrop(time, "meadow", weather, "left", "", "middle")[:SKY_ROWS].astype(np.float32)
    return ripple(wet - sky_of(time, True))


def read_fall(picture, time):
    """Rain, falling snow or "": whose pattern is in the dull sky, in whichever tokens it begins."""
    rest = (picture[:SKY_ROWS] - sky_of(time, True)).astype(np.float32)
    rest[np.abs(rest).max(axis=-1) > 3 * TOLERANCE] = 0  # things hide it
    rest = ripple(rest)

    def strength(weather):
        shapes = [np.roll(fall_of(time, weather), shift, axis=1) for shift in (0, TOKEN)]
        return max(float((rest * shape).sum() / np.linalg.norm(shape)) for shape in shapes)

    weather = max(("rain", "snowfall"), key=strength)
    least = LEAST_FALL * np.linalg.norm(fall_of(time, weather))
    return weather if strength(weather) > least else ""


def read_backdrop(picture):
    """Arguments of the `backdrop` that fits best, decided one after the other."""
    time, dull = read_sky(picture)
    fall = read_fall(picture, time) if dull else ""
    usual = fall or ("rain" if dull else "clear")

    def fits(option):
        return fit(picture, backdrop(*option)).sum()

    grounds = [(time, ground, usual, "left", "", hill) for ground in scenes.GROUNDS
               for hill in (scenes.PLACES if ground == "hill" else ("middle",))]
    _, ground, _, _, _, hill = max(grounds, key=fits)
    weathers = (usual,) if dull else ("clear", "cloudy")
    lights = ("left",) if dull else ("left", "right")
    rest = [(time, ground, weather, light, mountain, hill) for weather in weathers
            for light in lights for mountain in ("", *scenes.PLACES)]
    return max(rest, key=fits), fall if dull else None


@lru_cache(maxsize=None)
def template(kind, color, side, time):
    """A thing alone [n, n, 3] and how much of each cell it covers [n, n]."""
    layers = []
    for plain in (0, 255):
        image, pen = canvas((plain,) * 3, side)
        brush = scenes.Brush(pen, 0, 0, side, time, bright=0.5)
        scenes.PAINTERS[kind](brush, scenes.COLORS[color])
        layers.append(cells(image, scenes.SCALE * CELL))
    cover = 1 - (layers[1] - layers[0]).max(axis=-1) / 255
    return (layers[0] + layers[1]) // 2, cover


@lru_cache(maxsize=None)
def sample(kind, side):
    """Cells by which a thing is told [n, n], and how many each stands for: fewer of the large."""
    _, cover = template(kind, "red", side, "day")
    stride = 1 if side <= COARSE_SIDE else 2
    chosen = np.zeros(cover.shape, dtype=bool)
    chosen[::stride, ::stride] = cover[::stride, ::stride] > 0.9
    return chosen, stride ** 2


class Search:
    """Fits every drawing of a thing, in all colours and some sizes, wherever it may be."""

    def __init__(self, picture, time, ground):
        self.picture, self.time, self.ground = picture, time, ground
        self.options = [(kind, side, self._rows(kind, side)) for side in SIDES
                        for kind in scenes.PAINTERS]
        self.fits = [self._fits(*option) for option in self.options]

    def _rows(self, kind, side):
        usual = 16 if kind in scenes.SKY_KINDS else scenes.BASELINE[self.ground] - side
        rows = range(usual // CELL - REACH * STEP, usual // CELL + REACH * STEP + 1, STEP)
        return [row for row in rows if 0 <= row <= GRID - side // CELL]

    def _fits(self, kind, side, rows):
        """Sums of what fits [colors, rows, columns]."""
        chosen, _ = sample(kind, side)
        windows = np.moveaxis(windows_of(self.picture, side, rows), 2, -1)[:, :, chosen]
        drawings = [template(kind, color, side, self.time)[0] for color in scenes.COLORS]
        return np.stack([fit(windows, drawing[chosen]).sum(axis=-1) for drawing in drawings])

    def best(self, known):
        """The thing that explains most cells beyond `known` [GRID, GRID], and how many."""
        most, found = 0, None
        for (kind, side, rows), fits in zip(self.options, self.fits):
            chosen, weight = sample(kind, side)
            gains = (fits - windows_of(known, side, rows)[:, :, chosen].sum(axis=-1)) * weight
            gains[fits < LEAST_SHARE * chosen.sum()] = 0
            at = np.unravel_index(gains.argmax(), gains.shape)
            if gains[at] > most:
                x, y = at[2] * STEP * CELL + side // 2, rows[at[1]] * CELL + side // 2
                color = list(scenes.COLORS)[at[0]]
                most, found = gains[at], Found(kind, color, side, x, y, fits[at] / chosen.sum())
        return most, found


def windows_of(values, side, rows):
    """Squares of `values` [GRID, GRID, ...] that begin in the rows and at every token's column."""
    view = np.lib.stride_tricks.sliding_window_view(values, (side // CELL,) * 2, axis=(0, 1))
    return view[rows, ::STEP]


def read_things(picture, time, ground, known):
    """Things one after the other, each where what is `known` so far fits worst."""
    search, found = Search(picture, time, ground), []
    while len(found) < MOST_THINGS:
        gain, thing = search.best(known)
        if gain < LEAST_GAIN:
            break
        found.append(thing)
        row, column = ((middle - thing.side // 2) // CELL for middle in (thing.y, thing.x))
        _, cover = template(thing.kind, thing.color, thing.side, time)
        n = thing.side // CELL
        known[row:row + n, column:column + n][cover > 0.05] = 1
    return tuple(found)


def read(picture):
    """What an RGB picture of 384x384 pixels shows."""
    picture = cells(picture)
    option, fall = read_backdrop(picture)
    time, ground, weather, light, mountain, _ = option
    things = read_things(picture, time, ground, fit(picture, backdrop(*option)))
    dull = fall is not None
    return Reading(time, ground, fall if dull else weather, "" if dull else light, mountain, things)


def named(copies):
    """Found copies as words."""
    return ", ".join(f"{copy.color} {copy.kind} {copy.place}" for copy in copies) or "nothing"


def share_out(found, things):
    """The found copies of each asked thing: of its kind, best also of its colour and place."""
    shares = [[] for _ in things]
    for copy in found:
        rivals = [(thing.color == copy.color, thing.place == copy.place, share)
                  for thing, share in zip(things, shares) if thing.kind == copy.kind]
        if rivals:
            max(rivals, key=lambda rival: rival[:2])[2].append(copy)
    return shares


def judge_thing(thing, copies):
    """Verdicts on one asked thing from the copies of it that were found."""
    facts = {"present": bool(copies), "count": len(copies) == thing.count}
    if thing.color:
        facts["colour"] = bool(copies) and all(copy.color == thing.color for copy in copies)
    if thing.place and thing.count == 1:
        facts["place"] = bool(copies) and all(copy.place == thing.place for copy in copies)
    if thing.size:
        facts["size"] = bool(copies) and all(copy.size == thing.size for copy in copies)
    return [Verdict(what, thing.kind, right, named(copies)) for what, right in facts.items()]


def judge_scenery(reading, wanted):
    """Verdicts on time of day, ground, weather and mountain, as far as they are asked for."""
    return [Verdict(what, "scene", getattr(reading, what) == getattr(wanted, what),
                    getattr(reading, what) or "nothing")
            for what in SCENERY if getattr(wanted, what)]


def judge(reading, wanted):
    """Verdicts on all that a scene asks for."""
    verdicts = judge_scenery(reading, wanted)
    for thing, copies in zip(wanted.things, share_out(reading.things, wanted.things)):
        verdicts += judge_thing(thing, copies)
    return verdicts


def differing(before, after, keep):
    """`after` with only the scenery that is (or with `keep`, is not) as it was `before`."""
    facts = {what: getattr(after, what) for what in SCENERY
             if (getattr(before, what) == getattr(after, what)) == keep}
    return scenes.Scene(**{"time": "", "ground": "", "weather": "", "light_place": "", **facts})


def gone(reading, before, after):
    """Verdicts on the things that an edit takes away: as many of the kind as are left to be."""
    kinds = {thing.kind for thing in before.things} - {thing.kind for thing in after.things}
    left = {kind: [copy for copy in reading.things if copy.kind == kind] for kind in kinds}
    return [Verdict("gone", kind, not copies, named(copies)) for kind, copies in left.items()]


def kept_thing(thing, was, now):
    """The verdict on a thing that must stay; none where the picture before did not show it."""
    if not was or not all(verdict.right for verdict in judge_thing(thing, was)):
        return []
    right = all(verdict.right for verdict in judge_thing(thing, now))
    return [Verdict("kept", thing.kind, right, named(now))]


def judge_edit(was, now, before, after):
    """Verdicts (asked, kept) from the readings of two pictures and the scenes they should show.

    Sizes are only judged where they should change. A thing is only missed when the picture before
    showed it as it should be.
    """
    asked = judge_scenery(now, differing(before, after, keep=False)) + gone(now, before, after)
    kept = judge_scenery(now, differing(before, after, keep=True))
    plain = [replace(thing, size="") for thing in after.things]
    old = share_out(was.things, plain)
    for thing, wish, past, copies in zip(after.things, plain, old, share_out(now.things, plain)):
        if thing in before.things:
            kept += kept_thing(wish, past, copies)
        else:
            resized = wish in (replace(other, size="") for other in before.things)
            asked += judge_thing(thing if resized else wish, copies)
    return asked, kept

# SPDX-License-Identifier: MIT
# The exam of the demo model: fixed prompts and edits, and what must be true of the pictures.
"""`prompts()`, `edits()` and `chains()` give the same lists every time. They are made from tables
and a generator of this file alone, so that new kinds of scenes or phrases elsewhere change nothing.

Every trial shows a combination of thing, colour, ground and time for which `is_held_out` says that
it belongs to the exam: training leaves out all scenes that have such a thing.
"""

import zlib
from dataclasses import dataclass, replace

from scenes import Scene, Thing

SEED = 1
PROMPTS = {"single": 40, "colour": 40, "time": 30, "place": 30, "two": 30, "count": 30}
EDITS = {"time": 40, "recolour": 40, "weather": 25, "add": 25, "remove": 25, "replace": 15,
         "move": 15, "resize": 15}
CHAINS = 10
CHAIN = ("time", "recolour", "weather", "recolour", "time", "remove", "add", "weather",
         "recolour", "time")
ONE_IN = 10  # combinations are held out

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
GROUND_KINDS = ("house", "tree", "car", "flower", "person", "cat", "mushroom")
ONLY_ON = {"boat": "sea", "snowman": "snow"}
SKY_KINDS = ("balloon", "bird", "star")
PLACES = ("left", "middle", "right")
GROUNDS = {"meadow": "in a meadow", "hill": "on a hill", "sand": "on the sand",
           "sea": "on the sea", "snow": "in the snow", "city": "in the city"}
TIMES = {"day": "by day", "sunset": "at sunset", "night": "at night"}
SCENERIES = {"day": "daytime", "sunset": "sunset", "night": "nighttime"}
WEATHERS = {"cloudy": "with clouds", "rain": "in the rain", "snowfall": "in falling snow"}
WEATHER_ORDERS = {"clear": "make the sky clear", "cloudy": "make it cloudy",
                  "rain": "make it rain", "snowfall": "make it snow"}
SIZES = ("small", "medium", "big")
COUNTS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True)
class Prompt:
    """A prompt and what it asks for; "" in `wanted` is left to the model."""

    group: str
    text: str
    wanted: Scene


@dataclass(frozen=True)
class Edit:
    """An instruction and the scenes before and after it."""

    group: str
    text: str
    before: Scene
    after: Scene


@dataclass(frozen=True)
class Chain:
    """Edits one after the other that never speak of `kept`, a thing of the first scene."""

    kept: Thing
    edits: tuple


def is_held_out(kind, color, ground, time):
    """Whether this combination belongs to the exam and must not occur in training."""
    return zlib.crc32(f"{kind} {color} {ground} {time}".encode()) % ONE_IN == 0


class Dice:
    """A seeded sequence of choices that no version of Python changes (splitmix64)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        """A number from 0 to n - 1."""
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = (self.state ^ self.state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return (z ^ z >> 31) % n

    def choice(self, items):
        """One of the items."""
        items = tuple(items)
        return items[self.below(len(items))]

    def other(self, items, *taken):
        """One of the items that is none of those taken."""
        return self.choice(item for item in items if item not in taken)


def held_out(dice, grounds=tuple(GROUNDS), kinds=(*GROUND_KINDS, *ONLY_ON)):
    """A kind, colour, ground and time of the exam."""
    while True:
        kind, color, time = dice.choice(kinds), dice.choice(COLORS), dice.choice(TIMES)
        ground = ONLY_ON.get(kind) or dice.other(GROUNDS, "sea")
        if ground in grounds and is_held_out(kind, color, ground, time):
            return kind, color, ground, time


def beside(dice, main, ground):
    """A small thing that has room beside the main one or above it."""
    free = [place for place in PLACES if place != main.place]
    if ground not in ("hill", "sea") and main.size != "big" and dice.below(2):
        if main.place != "middle":
            free.remove("middle")
        kind = dice.other(GROUND_KINDS, main.kind)
        return Thing(kind, dice.choice(COLORS), "small", dice.choice(free))
    kind = dice.other(SKY_KINDS, main.kind)
    return Thing(kind, dice.choice(COLORS), "small", dice.choice(free))


def start(dice, two, grounds=tuple(GROUNDS)):
    """A complete scene with one thing or two, the first a held out one."""
    kind, color, ground, time = held_out(dice, grounds)
    size = dice.choice(("small", "medium", "medium", "medium" if two else "big"))
    things = [Thing(kind, color, size, dice.choice(PLACES))]
    if two:
        things.append(beside(dice, things[0], ground))
    light = dice.other(("left", "right"), *(t.place for t in things if t.kind in SKY_KINDS))
    has_mountain = ground not in ("hill", "city") and dice.below(4) == 0
    weather = dice.choice(("clear", "clear", "clear", *WEATHERS))
    return Scene(time, ground, weather, light, dice.choice(PLACES) if has_mountain else "",
                 tuple(things))


def noun(thing):
    """A thing as prompts and instructions name it."""
    count = COUNTS.get(thing.count, "a")
    if thing.kind == "person":
        return f"a person in {'an' if thing.color == 'orange' else 'a'} {thing.color} coat"
    if thing.kind == "snowman":
        return f"a snowman with {'an' if thing.color == 'orange' else 'a'} {thing.color} hat"
    if count == "a" and thing.color == "orange":
        count = "an"
    return f"{count} {thing.color} {thing.kind}{'s' if thing.count > 1 else ''}"


def prompt(dice, group):
    """One prompt of a group."""
    several = group == "count"
    grounds = [name for name in GROUNDS if name != "hill"] if several else GROUNDS
    kinds = ("house", "tree", "car", "flower", "cat", "mushroom", "boat")
    kind, color, ground, time = (held_out(dice, grounds, kinds) if several
                                 else held_out(dice, grounds))
    weather = dice.choice(WEATHERS) if group == "single" and dice.below(3) == 0 else ""
    place = dice.choice(PLACES) if group == "place" else ""
    things = [Thing(kind, color, "", place, 2 + dice.below(3) if several else 1)]
    if group == "two":
        main = Thing(kind, color, "medium", dice.choice(("left", "right")))
        things.append(replace(beside(dice, main, ground), size="", place=""))
    what = " and ".join(noun(thing) for thing in things)
    tail = [TIMES[time], GROUNDS[ground]] if group == "time" else [GROUNDS[ground], TIMES[time]]
    parts = [what, f"{'in' if place == 'middle' else 'on'} the {place}" if place else "", *tail,
             WEATHERS.get(weather, "")]
    wanted = Scene(time, ground, weather, "", "", tuple(things))
    return Prompt(group, " ".join(part for part in parts if part), wanted)


def change_time(dice, scene):
    """Another time of day."""
    time = dice.other(TIMES, scene.time)
    return f"turn the image into a {SCENERIES[time]} scene", replace(scene, time=time)


def change_weather(dice, scene):
    """Another weather."""
    weather = dice.other(WEATHER_ORDERS, scene.weather)
    return WEATHER_ORDERS[weather], replace(scene, weather=weather)


def recolour(dice, scene, kept=None):
    """Another colour for the first thing that is not `kept`."""
    thing = next(thing for thing in scene.things if thing != kept)
    color = dice.other(COLORS, thing.color)
    things = tuple(replace(t, color=color) if t == thing else t for t in scene.things)
    return f"make the {thing.kind} {color}", replace(scene, things=things)


def add(dice, scene):
    """A second thing, not where the sun or the moon stands."""
    while True:
        thing = beside(dice, scene.things[0], scene.ground)
        if thing.kind not in SKY_KINDS or thing.place != scene.light_place:
            where = f"{'in' if thing.place == 'middle' else 'on'} the {thing.place}"
            return f"add {noun(thing)} {where}", replace(scene, things=(*scene.things, thing))


def remove(dice, scene, kept=None):
    """One of the things goes, on a hill the second."""
    gone = [thing for thing in scene.things[scene.ground == "hill":] if thing != kept]
    thing = dice.choice(gone)
    left = tuple(other for other in scene.things if other != thing)
    return f"remove the {thing.kind}", replace(scene, things=left)


def with_first(scene, **changes):
    """The scene with its first thing changed."""
    return replace(scene, things=(replace(scene.things[0], **changes), *scene.things[1:]))


def swap(dice):
    """A held out thing in place of another one."""
    while True:
        after = start(dice, dice.below(2) == 1, [name for name in GROUNDS if name != "sea"])
        if after.things[0].kind in GROUND_KINDS:
            kind = dice.other(GROUND_KINDS, *(thing.kind for thing in after.things))
            before = with_first(after, kind=kind, color=dice.choice(COLORS))
            order = f"replace the {kind} with {noun(after.things[0])}"
            return Edit("replace", order, before, after)


def move(dice):
    """The only thing of the ground at another place; no hill, which would have to go along."""
    while True:
        after = start(dice, dice.below(2) == 1, [name for name in GROUNDS if name != "hill"])
        thing = after.things[0]
        if all(other.kind in SKY_KINDS for other in after.things[1:]):
            before = with_first(after, place=dice.other(PLACES, thing.place))
            return Edit("move", f"move the {thing.kind} to the {thing.place}", before, after)


def resize(dice):
    """A thing alone, a size bigger or smaller."""
    after = start(dice, two=False)
    thing = after.things[0]
    bigger = thing.size == "big" or thing.size == "medium" and dice.below(2) == 1
    size = SIZES[SIZES.index(thing.size) + (-1 if bigger else 1)]
    order = f"make the {thing.kind} {'bigger' if bigger else 'smaller'}"
    return Edit("resize", order, with_first(after, size=size), after)


def edit(dice, group):
    """One edit of a group; the new time, colour, thing, place or size is the held out one."""
    if group in ("replace", "move", "resize"):
        return {"replace": swap, "move": move, "resize": resize}[group](dice)
    two = group == "remove" or group != "add" and dice.below(2) == 1
    scene = start(dice, two)
    if group == "time":
        before = change_time(dice, scene)[1]
        return Edit(group, f"turn the image into a {SCENERIES[scene.time]} scene", before, scene)
    if group == "recolour":
        before, thing = recolour(dice, scene)[1], scene.things[0]
        return Edit(group, f"make the {thing.kind} {thing.color}", before, scene)
    change = {"weather": change_weather, "add": add, "remove": remove}[group]
    text, after = change(dice, scene)
    return Edit(group, text, scene, after)


def chain(dice):
    """Ten edits of one picture; the second thing of its first scene is never spoken of."""
    scene = start(dice, two=True, grounds=[name for name in GROUNDS if name != "hill"])
    kept, found = scene.things[1], []
    for group in CHAIN:
        if group in ("recolour", "remove"):
            text, after = {"recolour": recolour, "remove": remove}[group](dice, scene, kept)
        else:
            text, after = {"time": change_time, "weather": change_weather,
                           "add": add}[group](dice, scene)
        found.append(Edit(group, text, scene, after))
        scene = after
    return Chain(kept, tuple(found))


def prompts():
    """The 200 prompts, group after group."""
    dice = Dice(SEED)
    return [prompt(dice, group) for group, count in PROMPTS.items() for _ in range(count)]


def edits():
    """The 200 edits, group after group."""
    dice = Dice(SEED + 1)
    return [edit(dice, group) for group, count in EDITS.items() for _ in range(count)]


def chains():
    """The ten chains of ten edits."""
    dice = Dice(SEED + 2)
    return [chain(dice) for _ in range(CHAINS)]

# SPDX-License-Identifier: MIT
# Edits of scenes: what is asked, and the scene that it leads to.
"""`random_edit(rng, scene, wording)` asks for one change; everything else stays as it was.

`wording` is a random source like the grammar's: random.Random, or grammar.Plainly for the plainest
words. `words()` lists every word that the demo model knows.
"""

from dataclasses import replace

import grammar
import scenes

TIME_WORDS = {
    "day": ("a daytime scene", "day", "morning"),
    "sunset": ("a sunset scene", "sunset", "evening"),
    "night": ("a nighttime scene", "night"),
}
WEATHER_ORDERS = {
    "clear": ("clear the sky", "remove the clouds", "make the sky clear"),
    "cloudy": ("add clouds", "make it cloudy", "put clouds in the sky"),
    "rain": ("make it rain", "let it rain", "add rain"),
    "snowfall": ("make it snow", "let it snow", "add falling snow"),
}
NOT_CLOUDS = {"clear the sky": "stop the rain", "remove the clouds": "make it stop",
              "make the sky clear": "make the sky clear"}
# What is learned last is asked most.
WEIGHTS = {"time": 2, "recolor": 3, "weather": 1.5, "add": 3, "remove": 2, "replace": 2,
           "move": 1.5, "resize": 1.5}


def named(wording, thing):
    """The thing as an instruction speaks of it: "the house", "the cars"."""
    return f"the {grammar.kind_word(wording, thing)}"


def change_time(rng, scene, wording):
    """Another time of day."""
    time = rng.choice([name for name in scenes.TIMES if name != scene.time])
    scenery, *names = TIME_WORDS[time]
    orders = (f"turn the image into {scenery}", f"make it {names[0]}",
              f"change it to {wording.choice(names)}", f"turn it into {scenery}",
              f"turn {scene.time} into {names[0]}")
    return wording.choice(orders), replace(scene, time=time)


def change_weather(rng, scene, wording):
    """Another weather."""
    weather = rng.choice([name for name in scenes.WEATHERS if name != scene.weather])
    order = wording.choice(WEATHER_ORDERS[weather])
    if weather == "clear" and scene.weather != "cloudy":
        order = NOT_CLOUDS[order]
    return order, replace(scene, weather=weather)


def recolor(rng, scene, wording):
    """Another colour for all copies of one thing."""
    if not scene.things:
        return None
    index = rng.randrange(len(scene.things))
    thing = scene.things[index]
    color = rng.choice([name for name in scenes.COLORS if name != thing.color])
    word = wording.choice(grammar.COLOR_WORDS.get(color, (color,)))
    what = named(wording, thing)
    orders = (f"make {what} {word}", f"paint {what} {word}", f"change {what} to {word}",
              f"turn {what} {word}", f"color {what} {word}")
    things = list(scene.things)
    things[index] = replace(thing, color=color)
    return wording.choice(orders), replace(scene, things=tuple(things))


def another_thing(rng, scene):
    """A thing that has room beside those that are there."""
    if scene.things:
        return scenes.random_second_thing(rng, scene.ground, scene.things[0])
    thing = scenes.random_ground_thing(rng, scene.ground, scene.light_place)
    return replace(thing, count=1, size="small")


def add(rng, scene, wording):
    """A first or a second thing."""
    if len(scene.things) > 1:
        return None
    thing = another_thing(rng, scene)
    light = scene.light_place == thing.place and thing.kind in scenes.SKY_KINDS
    if light and scene.weather in ("clear", "cloudy"):
        return None
    what = grammar.noun_phrase(wording, replace(thing, size="medium"))
    place = grammar.PLACE_WORDS[thing.place][0]
    orders = (f"add {what} {place}", f"put {what} {place}", f"place {what} {place}")
    return wording.choice(orders), replace(scene, things=(*scene.things, thing))


def remove(rng, scene, wording):
    """A thing goes; not the first one of a hill, which says where the hill stands."""
    first = 1 if scene.ground == "hill" else 0
    if len(scene.things) <= first:
        return None
    index = rng.randrange(first, len(scene.things))
    what = named(wording, scene.things[index])
    orders = (f"remove {what}", f"take {what} away", f"delete {what}")
    things = scene.things[:index] + scene.things[index + 1:]
    return wording.choice(orders), replace(scene, things=things)


def changed(scene, thing, **new):
    """The scene with another thing in place of one."""
    things = tuple(replace(t, **new) if t is thing else t for t in scene.things)
    return replace(scene, things=things)


def single(rng, scene):
    """A thing that is there once, or None."""
    return rng.choice([thing for thing in scene.things if thing.count == 1] or [None])


def swap(rng, scene, wording):
    """Another thing in place of one, as big, often in another colour."""
    thing = single(rng, scene)
    if not thing or thing.kind == "boat":
        return None
    up = thing.kind in scenes.SKY_KINDS
    kinds = scenes.SKY_KINDS if up else scenes.GROUND_KINDS[:7]
    kind = rng.choice([kind for kind in kinds if kind not in {t.kind for t in scene.things}])
    after = changed(scene, thing, kind=kind, color=scenes.random_color(rng, kind))
    new = after.things[scene.things.index(thing)]
    what = grammar.noun_phrase(wording, replace(new, size="medium"))
    orders = (f"replace {named(wording, thing)} with {what}",
              f"turn {named(wording, thing)} into {what}",
              f"change {named(wording, thing)} to {what}")
    return wording.choice(orders), after


def free_places(scene, thing):
    """Places that a thing could move to: not taken by one beside it, nor by the light."""
    up = thing.kind in scenes.SKY_KINDS
    taken = {other.place for other in scene.things if (other.kind in scenes.SKY_KINDS) == up}
    if up and scene.weather not in scenes.DULL:
        taken.add(scene.light_place)
    return [place for place in scenes.PLACES if place not in taken]


def move(rng, scene, wording):
    """A thing at another place; the hill would have to move with what stands on it."""
    thing = single(rng, scene)
    if not thing or scene.ground == "hill" and thing is scene.things[0]:
        return None
    places = free_places(scene, thing)
    if not places or any(other.count > 1 for other in scene.things):
        return None
    place, what = rng.choice(places), named(wording, thing)
    orders = (f"move {what} to the {place}", f"put {what} {grammar.PLACE_WORDS[place][0]}")
    return wording.choice(orders), changed(scene, thing, place=place)


def resize(rng, scene, wording):
    """A thing one size bigger or smaller, where there is room for it."""
    thing = single(rng, scene)
    if not thing or thing.kind in scenes.SKY_KINDS:
        return None
    sizes = tuple(scenes.SIZES)
    bigger = rng.random() < 0.5
    index = sizes.index(thing.size) + (1 if bigger else -1)
    if not 0 <= index < len(sizes) or bigger and len(scene.things) > 1:
        return None
    order = f"make {named(wording, thing)} {'bigger' if bigger else 'smaller'}"
    return order, changed(scene, thing, size=sizes[index])


CHANGES = {"time": change_time, "recolor": recolor, "weather": change_weather, "add": add,
           "remove": remove, "replace": swap, "move": move, "resize": resize}


def sentence(wording, order):
    """Some orders as whole sentences."""
    if wording.random() < 0.2:
        return order[0].upper() + order[1:] + "."
    return order


def random_start(rng, empty):
    """A scene to change; a share of `empty` has nothing in it yet."""
    scene = scenes.random_scene(rng)
    if rng.random() < empty and scene.ground != "hill":
        return replace(scene, things=())
    return scene


def random_edit(rng, scene, wording):
    """An instruction and the scene after it."""
    while True:
        kind = rng.choices(tuple(WEIGHTS), tuple(WEIGHTS.values()))[0]
        found = CHANGES[kind](rng, scene, wording)
        if found:
            order, after = found
            return sentence(wording, order), after


def words():
    """All words of instructions and captions, sorted."""
    found = set("turn make change paint color add put place remove take delete away the image into "
                "it to stop scene replace move bigger smaller".split())
    for table in (TIME_WORDS, WEATHER_ORDERS):
        for phrases in table.values():
            found.update(word for phrase in phrases for word in phrase.split())
    found.update(word for phrase in NOT_CLOUDS.values() for word in phrase.split())
    orders = [word for word in found if word.islower()]
    return sorted({*found, *(word[0].upper() + word[1:] for word in orders), *grammar.words()})

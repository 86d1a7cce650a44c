#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# The part of a desktop that programs ask to stay awake: desktop.py LOG
"""Owns the inhibit portal on the session bus and writes a line for each request and its end: what
is asked for (flags of the portal: 4 = suspend) and why. Says "ready" once it can be asked."""

import itertools
import sys

from gi.repository import Gio, GLib

NAME, PATH = "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop"
INTERFACES = """<node>
  <interface name='org.freedesktop.portal.Inhibit'>
    <property name='version' type='u' access='read'/>
    <method name='Inhibit'>
      <arg type='s' name='window' direction='in'/>
      <arg type='u' name='flags' direction='in'/>
      <arg type='a{sv}' name='options' direction='in'/>
      <arg type='o' name='handle' direction='out'/>
    </method>
  </interface>
  <interface name='org.freedesktop.portal.Request'><method name='Close'/></interface>
</node>"""


class Portal:
    """Answers on a bus."""

    def __init__(self, bus, log):
        self.bus, self.log, self.numbers = bus, log, itertools.count(1)
        self.inhibit, self.request = Gio.DBusNodeInfo.new_for_xml(INTERFACES).interfaces
        bus.register_object(PATH, self.inhibit, self.call, lambda *_: GLib.Variant("u", 3), None)

    def say(self, *words):
        """Writes a line at once."""
        print(*words, file=self.log, flush=True)

    def call(self, _bus, _sender, path, _interface, method, arguments, invocation):
        """One of the methods."""
        if method == "Close":
            self.say("end", path.rpartition("/")[2])
            invocation.return_value(None)
            return
        _, flags, options = arguments.unpack()
        number = next(self.numbers)
        handle = f"{PATH}/request/{number}"
        self.bus.register_object(handle, self.request, self.call, None, None)
        self.say("begin", number, flags, options.get("reason", ""))
        invocation.return_value(GLib.Variant("(o)", (handle,)))


def main():
    """Runs until it is killed."""
    bus = Gio.bus_get_sync(Gio.BusType.SESSION)
    with open(sys.argv[1], "w", encoding="utf-8") as log:
        portal = Portal(bus, log)
        Gio.bus_own_name_on_connection(bus, NAME, Gio.BusNameOwnerFlags.NONE,
                                       lambda *_: portal.say("ready"), None)
        GLib.MainLoop().run()


if __name__ == "__main__":
    main()

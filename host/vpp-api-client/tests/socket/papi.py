"""Drives a server by VPP's own Python client: papi.py SOCKET API_JSON_DIR."""

import glob
import sys

from vpp_papi import VPPApiClient

socket, folder = sys.argv[1:]
vpp = VPPApiClient(apifiles=glob.glob(folder + "/*.api.json"), server_address=socket)
vpp.connect("papi")

ping = vpp.api.control_ping()
assert ping.retval == 0 and ping.vpe_pid > 0, ping
version = vpp.api.show_version()
assert version.version == "26.10-toy", version
assert vpp.api.sw_interface_dump() == []

events = []
vpp.register_event_callback(lambda name, event: events.append((name, event)))
vpp.api.want_interface_events(enable_disable=1, pid=77)
created = [vpp.api.create_loopback().sw_if_index for _ in range(2)]
assert created == [1, 2], created
vpp.api.sw_interface_set_flags(sw_if_index=2, flags=1)
dump = vpp.api.sw_interface_dump()
assert [(d.interface_name, int(d.flags)) for d in dump] == [("loop0", 0), ("loop1", 1)], dump
try:
    refused = vpp.api.sw_interface_set_flags(sw_if_index=9, flags=1).retval
except Exception as error:
    refused = getattr(error, "retval", str(error))
assert "-2" in str(refused), refused
placements = vpp.details_iter(vpp.api.sw_interface_tx_placement_get, sw_if_index=0xFFFFFFFF)
assert [d.sw_if_index for d in placements] == [1, 2]
assert vpp.api.cli_inband(cmd="ab").reply == "abab"
vpp.disconnect()

assert [(name, e.pid, e.sw_if_index) for name, e in events] == [
    ("sw_interface_event", 77, 2)
], events
print("ok")

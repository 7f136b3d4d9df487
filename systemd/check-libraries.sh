#!/bin/sh
# Says in one line which packages the pose model still needs from the system.
missing=""
for pair in libEGL.so.1:libegl1 libGLESv2.so.2:libgles2; do
    library=${pair%%:*}
    PATH="$PATH:/sbin:/usr/sbin" ldconfig -p | grep -q "$library" || missing="$missing ${pair##*:}"
done
if [ -n "$missing" ]; then
    echo "Spotter's pose model needs packages of the system: sudo apt install$missing" >&2
    exit 1
fi

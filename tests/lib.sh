# lib.sh - what the test commands share: packages, builds, counting. Sourced by bash scripts that set `root`.

# Installs the Debian packages that the build and the tests need, if any is missing.
require_packages() {
    "$root/deploy/install-packages" "$root/deploy/packages.txt" "$root/tests/packages.txt" >&2
}

# build_preset PRESET [TARGET...]: configures once and builds; prints the compiler's words only when it fails.
build_preset() {
    local preset=$1 log
    shift
    log=$(mktemp)
    if { cmake --preset "$preset" -S "$root" && cmake --build "$root/build/$preset" ${1:+--target "$@"}; } >"$log" 2>&1; then
        rm -f "$log"
    else
        tail -n 60 "$log"
        echo "build of preset $preset failed; the whole log is $log"
        return 1
    fi
}

# lib.sh - what the test commands share: packages, builds, counting. Sourced by bash scripts that set `root`.

# Installs the Debian packages of deploy/packages.txt and tests/packages.txt that are missing.
require_packages() {
    local missing=() package
    for package in $(sed 's/#.*//' "$root/deploy/packages.txt" "$root/tests/packages.txt"); do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "installing: ${missing[*]}"
    local sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
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

# Sets up and builds; sourced by ./ascertain and ./test. Bash, because it runs before anything is
# installed. Everything it makes lies under build/; everything it says goes to standard error.

ASCERTAIN_HOME="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
BUILD="$ASCERTAIN_HOME/build/release"
LOG="$ASCERTAIN_HOME/build/setup.log"
TORCH_VERSION_PINNED="2.13.0"
DISK_NEEDED_MB=3000  # the CPU wheel unpacked, the build, and room to breathe

CORE_PACKAGES="g++ cmake ninja-build ccache pkg-config nlohmann-json3-dev libtomlplusplus-dev libcli11-dev
  libfmt-dev libsqlite3-dev libssl-dev libzstd-dev libboost-dev libboost-math-dev libcurl4-openssl-dev libgloo-dev libzmq3-dev cppzmq-dev
  libjs-chart.js python3-venv"
TEST_PACKAGES="libgtest-dev libgmock-dev chromium python3-jsonschema"
# Programs of others that `./test --all` runs against; without one, its test says that it was skipped.
INTEROP_PACKAGES="slurmctld slurmd slurm-client munge openmpi-bin openssh-server openssh-client iproute2"
INTEROP_PYTHON="kubernetes-validate==1.37.0 kubeflow-trainer-api==2.3.0"

say() { printf 'ascertain: %s\n' "$*" >&2; }
fail() { say "$@"; exit "${EXIT_CODE:-70}"; }

# The packages of the list that Debian does not have installed yet.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
  done
}

# Installs Debian packages, or says exactly what is missing and how to go on without root.
install_packages() {
  local stamp="$ASCERTAIN_HOME/build/.packages-$1" missing
  shift
  [ -e "$stamp" ] && [ "$stamp" -nt "${BASH_SOURCE[0]}" ] && return 0
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    require_tools && touch "$stamp" && return 0
  fi
  missing="$(missing_packages "$@")"
  if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
      say "these Debian packages are missing, and only root can install them:"
      fail "  sudo apt-get install --no-install-recommends $missing"
    fi
    say "installing Debian packages: $missing"
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >>"$LOG" 2>&1; then
      tail -n 5 "$LOG" >&2
      fail "Debian packages could not be installed: is the network there? The whole log is $LOG"
    fi
  fi
  touch "$stamp"
}

# Installs what `./test --all` wants beyond `./test`, or says that it could not: those tests then skip.
install_interop() {
  local python="$ASCERTAIN_HOME/build/interop-python"
  (install_packages interop $INTEROP_PACKAGES) || say "tests with real launchers will be skipped"
  [ -e "$python/.done" ] && [ "$python/.done" -nt "${BASH_SOURCE[0]}" ] && return 0
  if python3 -m venv "$python" >>"$LOG" 2>&1 &&
     "$python/bin/python" -m pip install --disable-pip-version-check $INTEROP_PYTHON >>"$LOG" 2>&1; then
    touch "$python/.done"
  else
    say "the Kubernetes schemas could not be installed; the test of the manifests will be skipped"
  fi
}

# Off Debian: the tools must be there already.
require_tools() {
  local tool absent=""
  for tool in g++ cmake ninja; do command -v "$tool" >/dev/null || absent="$absent $tool"; done
  [ -z "$absent" ] || fail "not a Debian system, and these tools are missing:$absent; install them, the
  libraries listed in docs/install.md, and set TORCH_DIR to an installed torch"
}

enough_disk() {
  local free
  free="$(df -Pm "$ASCERTAIN_HOME" | awk 'NR==2 {print $4}')"
  [ "$free" -ge "$DISK_NEEDED_MB" ] || fail "only ${free} MB of disk free under $ASCERTAIN_HOME; setting up needs $DISK_NEEDED_MB MB"
}

# The folder of a torch that Python can import without importing it, or nothing.
torch_of_python() {
  "$1" - 2>/dev/null <<'PYTHON'
import importlib.metadata, importlib.util, sys
spec = importlib.util.find_spec("torch")
if spec is None or spec.origin is None:
    sys.exit(1)
major, minor = (int(part) for part in importlib.metadata.version("torch").split(".")[:2])
if (major, minor) < (2, 9):
    sys.exit(1)
print(spec.submodule_search_locations[0])
PYTHON
}

# Sets TORCH_DIR and PYTHON: what the user names, else a Python that has torch, else our own.
find_torch() {
  local own="$ASCERTAIN_HOME/build/python"
  if [ -n "${TORCH_DIR:-}" ]; then
    [ -e "$TORCH_DIR/lib/libtorch_cpu.so" ] ||
      fail "TORCH_DIR=$TORCH_DIR holds no lib/libtorch_cpu.so; it must be the torch folder of an installed wheel (2.9 or newer)"
    PYTHON="${PYTHON:-python3}"
    return
  fi
  if TORCH_DIR="$(torch_of_python "$own/bin/python")"; then PYTHON="$own/bin/python"; return; fi
  if TORCH_DIR="$(torch_of_python python3)"; then PYTHON="$(command -v python3)"; return; fi
  enough_disk
  say "installing torch $TORCH_VERSION_PINNED into build/python (once; TORCH_DIR or TORCH_INDEX choose another)"
  if ! { python3 -m venv "$own" && "$own/bin/python" -m pip install --disable-pip-version-check \
         ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch==$TORCH_VERSION_PINNED" numpy; } >>"$LOG" 2>&1; then
    tail -n 5 "$LOG" >&2
    fail "torch could not be installed: without network, set TORCH_DIR to the torch folder of an installed wheel; the whole log is $LOG"
  fi
  PYTHON="$own/bin/python"
  TORCH_DIR="$(torch_of_python "$PYTHON")" || fail "torch was installed but cannot be found; see $LOG"
}

# True when nothing that is compiled changed since the last build of `target`.
up_to_date() {
  local stamp="$BUILD/.built-$1"
  [ -e "$stamp" ] && [ "$(cat "$stamp")" = "${TORCH_DIR:-}" ] || return 1
  [ -z "$(find "$ASCERTAIN_HOME"/{src,worker,cmake,CMakeLists.txt,tools/setup.sh} ${2:+"$ASCERTAIN_HOME"/$2} \
          $([ ! -d "$ASCERTAIN_HOME/chips" ] || echo "$ASCERTAIN_HOME/chips") \
          -newer "$stamp" ! -name '*.md' -print -quit)" ]
}

# Runs ninja; on a terminal its progress stays on one line, else a line every tenth.
build_targets() {
  local status=0
  if [ -t 2 ]; then
    ninja -C "$BUILD" "$@" > >(tee -a "$LOG" | awk '/^\[/ {printf "\r\033[K%.100s", $0; fflush()} END {printf "\r\033[K"}' >&2) || status=$?
  else
    ninja -C "$BUILD" "$@" > >(tee -a "$LOG" | awk -F'[][/]' '/^\[/ {tenth = int($2 * 10 / $3); if (tenth > last) {last = tenth; print "ascertain: built " $2 " of " $3; fflush()}}' >&2) || status=$?
  fi
  if [ "$status" != 0 ]; then
    grep -aE 'error|FAILED' "$LOG" | tail -n 12 >&2
    fail "the build failed; the whole log is $LOG"
  fi
}

# build NAME EXTRA-FOLDER TARGETS...: configures when needed, builds, and remembers that it did.
build() {
  local name="$1" extra="$2" asked="${TORCH_DIR:-}"
  shift 2
  mkdir -p "$ASCERTAIN_HOME/build" 2>/dev/null || fail "cannot write $ASCERTAIN_HOME/build; clone the project to where you may write"
  exec 9>"$ASCERTAIN_HOME/build/.lock"
  flock 9
  if up_to_date "$name" "$extra"; then exec 9>&-; return; fi
  find_torch
  say "building (torch: $TORCH_DIR)"
  : >>"$LOG"
  if ! cmake -S "$ASCERTAIN_HOME" --preset release -DTORCH_DIR="$TORCH_DIR" -DASCERTAIN_PYTHON="$PYTHON" \
       -DASCERTAIN_TESTS="$(test_switch)" \
       $(command -v ccache >/dev/null && echo -DCMAKE_CXX_COMPILER_LAUNCHER=ccache) >>"$LOG" 2>&1; then
    tail -n 15 "$LOG" >&2
    fail "configuring failed; the whole log is $LOG"
  fi
  build_targets "$@"
  printf '%s' "$asked" >"$BUILD/.built-$name"
  exec 9>&-
}

# Tests are configured where GoogleTest is; the launcher alone does not ask for it.
test_switch() { [ -e /usr/include/gtest/gtest.h ] && echo ON || echo OFF; }

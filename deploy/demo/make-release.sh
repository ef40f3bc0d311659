#!/usr/bin/env bash
# Assembles a release of the demo application, as a build job would:
#   deploy/demo/make-release.sh v2 /srv/app/releases/v2
# The directory appears whole or not at all.
set -Eeuo pipefail

if [[ $# -ne 2 || $1 == -* ]]; then
  sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=$1 target=$2
release="$here/releases/$name.php"
[[ -f $release ]] || { echo "no release $name; there are: $(cd "$here/releases" && echo *.php | sed 's/\.php//g')" >&2; exit 2; }
[[ ! -e $target ]] || { echo "$target is there already; releases are never changed in place" >&2; exit 1; }

mkdir -p "$(dirname "$target")"
staging=$(mktemp -d "$(dirname "$target")/.staging.XXXXXX")
trap 'rm -rf "$staging"' EXIT
cp -R "$here/app/." "$staging/"
cp "$release" "$staging/release.php"
chmod -R u=rwX,go=rX "$staging"
mv -T "$staging" "$target"

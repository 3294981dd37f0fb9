# SPDX-License-Identifier: MIT
# Install and use: sh tests/install/install.sh BUILD
#
# Installs a build into an empty folder, twice: with DESTDIR, as a packager, and with a prefix of its own, which is
# then moved elsewhere. From there a program that knows weir.h and nothing else is built with pkg-config (shared and
# static) and with find_package (both targets), and run. Its own ring_init is there to collide, should an internal
# name leak out of the static library.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
compiler=${CC:-cc}

DESTDIR=$scratch/package cmake --install "$build" --prefix /usr >install.log || { cat install.log; exit 1; }
for file in weir.h libweir.so libweir.so.0 libweir.a weir.pc weirConfig.cmake weirConfigVersion.cmake; do
    [ -n "$(find package/usr -name $file)" ] || { echo "$file was not installed under DESTDIR"; exit 1; }
done
foreign=$(find package -mindepth 1 -maxdepth 1 ! -name usr)
[ -z "$foreign" ] || { echo "installed outside the prefix: $foreign"; exit 1; }

cmake --install "$build" --prefix "$scratch/first" >install.log || { cat install.log; exit 1; }
mv first moved
if grep -rl --include='*.pc' --include='*.cmake' -e "$scratch/first" -e "$build" moved; then
    echo "the files above name the folder of the build or of the first installation"
    exit 1
fi
libraries=$(dirname "$(find "$scratch/moved" -name weir.pc)")
PKG_CONFIG_PATH=$libraries${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
libraries=$(dirname "$libraries")
soname=$(readelf -d "$libraries/libweir.so" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')
[ "$soname" = libweir.so.0 ] || { echo "the shared library calls itself '$soname'"; exit 1; }

# shellcheck disable=SC2046
$compiler -std=c99 -Wall -Werror "$here/consumer.c" $(pkg-config --cflags --libs weir) -o shared
LD_LIBRARY_PATH=$libraries ./shared
echo "pkg-config, shared: ok"
if pkg-config --exists weir_lua; then
    # shellcheck disable=SC2046
    $compiler -std=c99 -Wall -Werror "$here/scripts.c" $(pkg-config --cflags --libs weir_lua) -o scripts
    LD_LIBRARY_PATH=$libraries ./scripts
    echo "pkg-config, scripts: ok"
fi
# shellcheck disable=SC2046
$compiler -std=c99 -Wall -Werror $(pkg-config --cflags weir) "$here/consumer.c" "$libraries/libweir.a" \
    $(pkg-config --static --libs weir | sed 's/-lweir//') -o static
./static
echo "pkg-config, static: ok"

mkdir consumer
cp "$here/consumer.c" consumer/
cat >consumer/CMakeLists.txt <<'EOT'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(weir 0.1 REQUIRED)
foreach(kind weir static)
  add_executable(use_${kind} consumer.c)
  target_link_libraries(use_${kind} PRIVATE weir::${kind})
endforeach()
EOT
{ cmake -S consumer -B consumer/build -DCMAKE_PREFIX_PATH="$scratch/moved" -DCMAKE_C_COMPILER="$compiler" &&
    cmake --build consumer/build; } >consumer.log 2>&1 || { cat consumer.log; exit 1; }
consumer/build/use_weir
echo "find_package, weir::weir: ok"
consumer/build/use_static
echo "find_package, weir::static: ok"

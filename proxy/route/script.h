#pragma once
// Which PHP script answers a path. Pure but for the FileProbe it is given; a
// worker's thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/settings.h"

namespace serin {

enum class FileKind : uint8_t {
  kMissing,    // no such file, or we may not look
  kFile,       // a regular file below the root, symlinks followed
  kDirectory,  // a directory below the root
  kOutside,    // exists, but a symlink leads out of the root
  kOther,      // a socket, device, pipe
};

// A look at a pool's release root.
class FileProbe {
 public:
  virtual ~FileProbe() = default;
  // False: the root is not there for us (another host or container, no
  // permission); Look is then not called.
  virtual bool visible() const = 0;
  // `path` is below the root and starts with '/'.
  virtual FileKind Look(std::string_view path) = 0;
};

struct ScriptRules {
  Scripts scripts = Scripts::kAny;
  std::string_view front_controller = "index.php";  // relative to the root; "": none
};

struct ScriptMatch {
  enum class Kind : uint8_t {
    kScript,
    kNotFound,       // 404
    kForbidden,      // 403
    kRedirectSlash,  // a directory with an index, asked for without the slash: see AppendSlashLocation
  };
  Kind kind = Kind::kNotFound;
  std::string_view script_name;  // kScript: "/wp-admin/index.php"
  std::string_view path_info;    // kScript: "" or "/x/y"
};

// `path` is Request::path(): decoded, dot segments resolved, starting with '/'.
// The match borrows from `path` and `scratch` (recycle it: no allocation).
//
// Scripts::kAny, in this order:
//   1. The first segment that ends in ".php" and is a regular file below the
//      root is the script, what follows is PATH_INFO. So "x.jpg/y.php" is a
//      script only if it is itself a file. ".php" is compared by bytes.
//      Behind a symlink that leaves the root: kForbidden.
//   2. "/dir/": dir's index (the front controller's name, or index.php).
//   3. "/dir": kRedirectSlash when the directory has such an index.
//   4. The front controller, with an empty PATH_INFO, as nginx's try_files has
//      it: applications route by REQUEST_URI. Without one: kNotFound.
// A path with a hidden segment ("/.git/x.php", but not "/.well-known/") skips
// 1–3: nothing hidden is ever run. A file is looked for only if the path could
// name a script or directory; "/style.css" or "/" cost nothing. What is found is
// remembered for one tick of the worker (50 ms).
//
// Scripts::kFrontController, or a root that is not visible: always the front
// controller, without a look at any file; "/index.php/x" has PATH_INFO "/x".
ScriptMatch ResolveScript(std::string_view path, const ScriptRules& rules, FileProbe& probe,
                          std::string& scratch);

// For a script that a web server in front of us has chosen: `script`, relative
// to its root, stands if it would be found under that name (Scripts::kAny, a
// regular .php file below the root, not hidden), or, when our root is not
// visible, if it is a plain .php path. A match then has exactly that
// script_name and no path_info. Otherwise as ResolveScript for `path`: the
// release has no such file, or its front controller is all that may run.
ScriptMatch ResolveNamedScript(std::string_view script, std::string_view path, const ScriptRules& rules,
                               FileProbe& probe, std::string& scratch);

// Location for kRedirectSlash: the path, encoded, one leading slash ("//host"
// would be another site, and so would "/\host"), a slash at its end, the query.
void AppendSlashLocation(std::string& out, std::string_view path, std::string_view query);

}  // namespace serin

# What start.sh needs: Ollama, curl, jq, and what the sidecar is built with (gzip packs its page). A channel without ollama still evaluates: start.sh
# then says what to do.
{ pkgs }:
let
  libraries = [ pkgs.curl pkgs.cjson pkgs.inih pkgs.llhttp ];
  # Some packages have their headers and their libraries in places of their own.
  headers = package: "${package.dev or package}/include";
  objects = package: "${package.lib or package.out or package}/lib";
in {
  deps = libraries ++ [ pkgs.jq pkgs.gcc pkgs.gnumake pkgs.gzip ] ++ (if pkgs ? ollama then [ pkgs.ollama ] else [ ]);
  # So that nothing depends on what the shell tells the compiler.
  env = {
    REPLIT_CPPFLAGS = toString (map (package: "-isystem ${headers package}") libraries);
    REPLIT_LDFLAGS = toString (map (package: "-L${objects package} -Wl,-rpath,${objects package}") libraries);
  };
}

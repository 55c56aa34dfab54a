# What start.sh needs. A channel without ollama still evaluates: start.sh then says what to do.
{ pkgs }: {
  deps = [
    pkgs.curl
    pkgs.jq
    # to build the sidecar
    pkgs.gcc
    pkgs.gnumake
    pkgs.pkg-config
    pkgs.inih
    pkgs.cjson
    pkgs.llhttp
  ] ++ (if pkgs ? ollama then [ pkgs.ollama ] else [ ]);
}

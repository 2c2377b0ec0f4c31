"""What an operator asks of a running signer: the routes that `holdfast` (the command line) is a client of.

They are served beside every other route on a unix socket in the data directory (`admin.sock`, mode 0600, the peer's
uid must be ours or root's; whoever gets in is OPERATOR), and on the network listener only if `ApiSettings.admin_over_network`
is set, where they demand a named principal: an anonymous caller is answered 401 there, whatever its address.
Every operation checks its own action; the action is named with each route. Errors are problem documents
(`application/problem+json`: type, title, status, detail, code, request_id, evidence members).

    GET  /admin/status           200 {"version": "0.1.0", "network": "mainnet", "data_directory": "/...", "ready": true,
                                      "keys": {"loaded": 4, "errors": 0,
                                               "sources": [{"source": "config-files-loading", "keys_loaded": 4, "error_count": 0}]},
                                      "reload": {the JSON of GET /reload},
                                      "journal": {whatever the journal tells of itself: strings and numbers}}
                                 (keys:list)
    GET  /admin/keys             200 {"keys": [{"public_key": "0x...", "namespace": "default", "origin": "file-keystore",
                                      "derivation_path": "m/12381/3600/0/0/0" | null}]}, sorted by public key
                                 503 NOT_READY until the first load is complete               (keys:list)
    POST /admin/reload           202 {"status": "accepted", "message": "..."}; 409 while one runs: the same answers as POST /reload;
                                 its progress is GET /reload                                   (keys:reload)
    GET  /admin/slashing/export  200 application/json, an EIP-3076 document, streamed (chunked); a fault on the way cuts the
                                 connection short of its last chunk, so a truncated file is never mistaken for a whole one
                                                                                               (slashing:read)
    POST /admin/slashing/import  the body is an EIP-3076 document of at most `ApiSettings.import_limit_bytes`, any content type
                                 200 {"validators": [{"public_key": "0x...", "blocks": 3, "attestations": 7, "error": null | "..."}]}
                                                                                               (slashing:write)
    POST /admin/audit/verify     no body; 200 {"entries": 1234, "head": "0x..."}; 500 AUDIT_BROKEN (audit:read)
"""

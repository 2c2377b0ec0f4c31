package needs

import rego.v1

verdict := {"verdict": "deny", "code": "A", "message": sprintf("%v", [input.version]), "at": time.now_ns(), "said": http.send({"method": "get", "url": "http://localhost"})}

package treasury

import rego.v1

default verdict := {"verdict": "deny", "code": "RECEIVER_NOT_LISTED", "message": "the receiver is not on the list"}

verdict := {"verdict": "allow", "reserve": [{"counter": "eth", "window_seconds": 86400, "amount": input.transaction.value, "limit": data.limits.daily}]} if {
	input.transaction.to in data.receivers
	not large
}

verdict := {"verdict": "require_approval", "quorum": 2, "groups": ["treasury"], "lifetime_seconds": 3600} if {
	input.transaction.to in data.receivers
	large
}

large if count(input.transaction.value) > 18

allow if {
	not input.opaque
	input.transaction.to in data.receivers
}

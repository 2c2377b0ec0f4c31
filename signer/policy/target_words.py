"""Where a policy has a say, in the words of an operator: `key:0x93...`, `tag:lido`, `namespace:default`,
`caller:vouch`, `caller+key:vouch:0x93...`.

A key is its public key in hexadecimal, with 0x and small letters: what policies are told as its `key_id`.
"""

import re

from signer.errors import MalformedRequestError
from signer.policy.bindings import Target, ToCaller, ToCallerAndKey, ToKey, ToNamespace, ToTag

_KEY = re.compile(r"0x(?:[0-9a-f]{2}){32,64}")
_NAME = re.compile(r"[!#-&(-\[\]-~]{1,64}")
_NAME_RULE = "a name has 1 to 64 characters of ASCII, without spaces, quotation marks and backslashes"
_TAG = re.compile(r"[a-z0-9_.:-]{1,64}")


def parse_target(words: str) -> Target:
    """Where, from words. Raises MalformedRequestError."""
    kind, colon, name = words.partition(":")
    match kind:
        case "key" if colon:
            return checked_target(ToKey(_key_id(name)))
        case "tag" if colon:
            return checked_target(ToTag(name))
        case "namespace" if colon:
            return checked_target(ToNamespace(name))
        case "caller" if colon:
            return checked_target(ToCaller(name))
        case "caller+key" if colon:
            caller, _, key = name.rpartition(":")
            return checked_target(ToCallerAndKey(caller, _key_id(key)))
        case _:
            raise MalformedRequestError(
                f"{words[:80]!r} says no place: write key:0x..., tag:NAME, namespace:NAME, caller:NAME or"
                " caller+key:NAME:0x...",
                path="to",
            )


def target_words(target: Target) -> str:
    """The words that `parse_target` reads."""
    match target:
        case ToKey(key_id):
            return f"key:{key_id}"
        case ToTag(tag):
            return f"tag:{tag}"
        case ToNamespace(namespace):
            return f"namespace:{namespace}"
        case ToCaller(identity):
            return f"caller:{identity}"
        case ToCallerAndKey(identity, key_id):
            return f"caller+key:{identity}:{key_id}"


def checked_target(target: Target) -> Target:
    """The same, where it could be met. Raises MalformedRequestError: no key, tag or name is spelled like that."""
    match target:
        case ToKey(key_id):
            _check(_KEY, key_id, "a key is 0x and its public key in small hexadecimal digits")
        case ToTag(tag):
            _check(_TAG, tag, "a tag has 1 to 64 of the characters a-z, 0-9, hyphen, underscore, full stop and colon")
        case ToNamespace(name) | ToCaller(name):
            _check(_NAME, name, _NAME_RULE)
        case ToCallerAndKey(name, key_id):
            _check(_NAME, name, _NAME_RULE)
            _check(_KEY, key_id, "a key is 0x and its public key in small hexadecimal digits")
    return target


def _key_id(text: str) -> str:
    digits = text.lower()
    return digits if digits.startswith("0x") else "0x" + digits


def _check(pattern: re.Pattern[str], text: str, rule: str) -> None:
    if not pattern.fullmatch(text):
        raise MalformedRequestError(f"{text[:80]!r} is none: {rule}", path="to")

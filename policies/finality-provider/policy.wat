;; A Babylon finality provider's key: it votes for one chain, and its heights only go forward.
;;
;; Two votes at one height give the key away, so the height of the last vote is kept as a counter: a vote at height h is
;; allowed where the counter is below h, and spends the difference, so that the counter stands at h afterwards. The counter's
;; limit is h too: of two votes that race, the commit books one. A first vote, and one that jumps by more than 10,000
;; heights, waits for an operator: whoever could make the key vote far ahead would stop it for good.
;;
;; Bind this policy to one key: the counter is the policy's, and a second key would have to vote above the first one's heights.
;;
;; Facts are canonical JSON (RFC 8785), so a name or a text is found by comparing bytes, quotes included: inside of a text a
;; quote has a backslash before it. What is not JSON stops the module, and that is a denial.

(module
  (import "holdfast" "read_counter" (func $read_counter (param i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)

  ;; --- names and texts that are looked for, each in its quotes

  (data (i32.const 0x000) "\"version\"")                ;; 9 bytes
  (data (i32.const 0x020) "\"environment\"")            ;; 13
  (data (i32.const 0x040) "\"chain_id\"")               ;; 10
  (data (i32.const 0x060) "\"duty\"")                   ;; 6
  (data (i32.const 0x080) "\"type\"")                   ;; 6
  (data (i32.const 0x0a0) "\"height\"")                 ;; 8; the counter's name is in there too
  (data (i32.const 0x0c0) "\"bbn-1\"")                  ;; 7
  (data (i32.const 0x0e0) "\"EOTS_VOTE\"")              ;; 11
  (data (i32.const 0x100) "\"RANDOMNESS_COMMITMENT\"")  ;; 23

  ;; --- verdicts, whole or in parts

  (data (i32.const 0x200) "{\"verdict\":\"allow\"}")                                                      ;; 19
  (data (i32.const 0x240) "{\"verdict\":\"allow\",")                                                      ;; 19
  (data (i32.const 0x280) "{\"verdict\":\"require_approval\",\"quorum\":1,\"groups\":[\"operators\"],\"lifetime_seconds\":3600,") ;; 88
  (data (i32.const 0x300) "\"reserve\":[{\"counter\":\"height\",\"window_seconds\":0,\"amount\":\"")      ;; 60
  (data (i32.const 0x380) "\",\"limit\":\"")                                                              ;; 11
  (data (i32.const 0x3a0) "\"}]}")                                                                        ;; 4
  (data (i32.const 0x400) "{\"verdict\":\"deny\",\"code\":\"FACTS_OF_ANOTHER_VERSION\",\"message\":\"this policy reads facts of version 1\"}") ;; 101
  (data (i32.const 0x480) "{\"verdict\":\"deny\",\"code\":\"WRONG_CHAIN\",\"message\":\"this key votes on bbn-1 only\"}")         ;; 80
  (data (i32.const 0x500) "{\"verdict\":\"deny\",\"code\":\"NOT_A_VOTE\",\"message\":\"this key signs finality votes and their randomness only\"}") ;; 106
  (data (i32.const 0x580) "{\"verdict\":\"deny\",\"code\":\"HEIGHT_NOT_KNOWN\",\"message\":\"the vote names no height, or one that no chain reaches\"}") ;; 111
  (data (i32.const 0x600) "{\"verdict\":\"deny\",\"code\":\"HEIGHT_NOT_ABOVE_LAST\",\"message\":\"the key has voted at this height, or above it\",\"evidence\":{\"height\":\"") ;; 129
  (data (i32.const 0x6c0) "\",\"last\":\"")                                                               ;; 10
  (data (i32.const 0x6e0) "\"}}")                                                                         ;; 3

  (global $counter_digits i32 (i32.const 0x800))  ;; room for 78 bytes
  (global $digits i32 (i32.const 0x880))          ;; room for 20 digits of a number
  (global $answer i32 (i32.const 0x900))          ;; the verdict
  (global $facts i32 (i32.const 0x1000))
  (global $written (mut i32) (i32.const 0x900))   ;; behind what is written of it
  (global $jump i64 (i64.const 10000))            ;; heights that a vote may skip by itself
  (global $most_digits i32 (i32.const 19))        ;; a number of so many fits 64 bits

  (func (export "holdfast_allocate") (param $bytes i32) (result i32)
    (local $pages i32)
    ;; Never 4 GiB: the signer gives 256 KiB at most.
    (local.set $pages (i32.shr_u (i32.add (i32.add (global.get $facts) (local.get $bytes)) (i32.const 0xffff)) (i32.const 16)))
    (if (i32.gt_u (local.get $pages) (memory.size))
      (then
        (if (i32.eq (memory.grow (i32.sub (local.get $pages) (memory.size))) (i32.const -1))
          (then (return (i32.const 0))))))
    (global.get $facts))

  (func (export "holdfast_evaluate_1") (param $at i32) (param $length i32) (result i64)
    (local $duty i32)
    (local $version i32)
    (if (i32.ne (call $after_value (local.get $at)) (i32.add (local.get $at) (local.get $length)))
      (then (unreachable)))
    (local.set $version (call $member (local.get $at) (i32.const 0x000) (i32.const 9)))
    (if (i32.or (i32.eqz (local.get $version)) (i32.ne (call $byte (local.get $version)) (i32.const 0x31)))  ;; 1
      (then (return (call $verdict (i32.const 0x400) (i32.const 101)))))
    (if (i32.ne (call $after_value (local.get $version)) (i32.add (local.get $version) (i32.const 1)))
      (then (return (call $verdict (i32.const 0x400) (i32.const 101)))))
    (local.set $duty (call $member (local.get $at) (i32.const 0x060) (i32.const 6)))
    (if (i32.eqz (call $is (call $member (local.get $duty) (i32.const 0x080) (i32.const 6)) (i32.const 0x0e0) (i32.const 11)))
      (then
        (if (call $is (call $member (local.get $duty) (i32.const 0x080) (i32.const 6)) (i32.const 0x100) (i32.const 23))
          (then (return (call $for_the_chain (local.get $at)))))
        (return (call $verdict (i32.const 0x500) (i32.const 106)))))
    (if (i32.eqz (call $serves_the_chain (local.get $at)))
      (then (return (call $verdict (i32.const 0x480) (i32.const 80)))))
    (call $vote (call $member (local.get $duty) (i32.const 0x0a0) (i32.const 8))))

  ;; A commitment to randomness names no height that was voted at: it is signed where the chain is right.
  (func $for_the_chain (param $facts i32) (result i64)
    (if (result i64) (call $serves_the_chain (local.get $facts))
      (then (call $verdict (i32.const 0x200) (i32.const 19)))
      (else (call $verdict (i32.const 0x480) (i32.const 80)))))

  (func $serves_the_chain (param $facts i32) (result i32)
    (call $is
      (call $member (call $member (local.get $facts) (i32.const 0x020) (i32.const 13)) (i32.const 0x040) (i32.const 10))
      (i32.const 0x0c0)
      (i32.const 7)))

  ;; The verdict on a vote; the parameter is the place of its height, 0 where it names none.
  (func $vote (param $at i32) (result i64)
    (local $length i32)
    (local $height i64)
    (local $last i64)
    (local $step i64)
    (if (i32.or (i32.eqz (local.get $at)) (i32.ne (call $byte (local.get $at)) (i32.const 0x22)))
      (then (return (call $verdict (i32.const 0x580) (i32.const 111)))))
    ;; Without both quotes.
    (local.set $length (i32.sub (i32.sub (call $after_text (local.get $at)) (local.get $at)) (i32.const 2)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (if (i32.or (i32.eqz (local.get $length)) (i32.gt_u (local.get $length) (global.get $most_digits)))
      (then (return (call $verdict (i32.const 0x580) (i32.const 111)))))
    (local.set $height (call $number (local.get $at) (local.get $length)))
    (local.set $last
      (call $number
        (global.get $counter_digits)
        (call $read_counter (i32.const 0x0a1) (i32.const 6) (i32.const 0) (global.get $counter_digits))))
    (if (i64.le_u (local.get $height) (local.get $last))
      (then
        (call $write (i32.const 0x600) (i32.const 129))
        (call $write_number (local.get $height))
        (call $write (i32.const 0x6c0) (i32.const 10))
        (call $write_number (local.get $last))
        (return (call $verdict (i32.const 0x6e0) (i32.const 3)))))
    (local.set $step (i64.sub (local.get $height) (local.get $last)))
    (if (i64.gt_u (local.get $step) (global.get $jump))
      (then (call $write (i32.const 0x280) (i32.const 88)))
      (else (call $write (i32.const 0x240) (i32.const 19))))
    (call $write (i32.const 0x300) (i32.const 60))
    (call $write_number (local.get $step))
    (call $write (i32.const 0x380) (i32.const 11))
    (call $write_number (local.get $height))
    (call $verdict (i32.const 0x3a0) (i32.const 4)))

  ;; --- reading

  (func $byte (param $at i32) (result i32)
    (i32.load8_u (local.get $at)))

  ;; The place of the value with this name in the object there; 0 where there is no object, or none of its members is it.
  (func $member (param $at i32) (param $name i32) (param $length i32) (result i32)
    (local $value i32)
    (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
    (if (i32.ne (call $byte (local.get $at)) (i32.const 0x7b)) (then (return (i32.const 0))))  ;; {
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (if (i32.eq (call $byte (local.get $at)) (i32.const 0x7d)) (then (return (i32.const 0))))  ;; }
    (loop $next
      (local.set $value (i32.add (call $after_text (local.get $at)) (i32.const 1)))  ;; behind the colon
      (if (call $same (local.get $at) (local.get $name) (local.get $length)) (then (return (local.get $value))))
      (local.set $at (i32.add (call $after_value (local.get $value)) (i32.const 1)))
      (br_if $next (i32.eq (call $byte (i32.sub (local.get $at) (i32.const 1))) (i32.const 0x2c))))  ;; ,
    (i32.const 0))

  ;; Is this text, in its quotes, the value there?
  (func $is (param $at i32) (param $text i32) (param $length i32) (result i32)
    (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
    (call $same (local.get $at) (local.get $text) (local.get $length)))

  (func $same (param $one i32) (param $other i32) (param $length i32) (result i32)
    (loop $next
      (if (i32.ne (call $byte (local.get $one)) (call $byte (local.get $other))) (then (return (i32.const 0))))
      (local.set $one (i32.add (local.get $one) (i32.const 1)))
      (local.set $other (i32.add (local.get $other) (i32.const 1)))
      (br_if $next (local.tee $length (i32.sub (local.get $length) (i32.const 1)))))
    (i32.const 1))

  ;; Behind the value there. Behind the facts the memory is zero, so what has no end stops here.
  (func $after_value (param $at i32) (result i32)
    (local $byte i32)
    (local.set $byte (call $byte (local.get $at)))
    (if (i32.eq (local.get $byte) (i32.const 0x22)) (then (return (call $after_text (local.get $at)))))        ;; "
    (if (i32.eq (local.get $byte) (i32.const 0x7b)) (then (return (call $after_members (local.get $at) (i32.const 0x7d)))))  ;; { }
    (if (i32.eq (local.get $byte) (i32.const 0x5b)) (then (return (call $after_members (local.get $at) (i32.const 0x5d)))))  ;; [ ]
    (call $after_word (local.get $at)))

  ;; Behind an object or an array, which ends with this byte.
  (func $after_members (param $at i32) (param $closing i32) (result i32)
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (if (i32.eq (call $byte (local.get $at)) (local.get $closing))
      (then (return (i32.add (local.get $at) (i32.const 1)))))
    (loop $next
      (if (i32.eq (local.get $closing) (i32.const 0x7d))
        (then
          (local.set $at (call $after_text (local.get $at)))
          (if (i32.ne (call $byte (local.get $at)) (i32.const 0x3a)) (then (unreachable)))  ;; :
          (local.set $at (i32.add (local.get $at) (i32.const 1)))))
      (local.set $at (i32.add (call $after_value (local.get $at)) (i32.const 1)))
      (br_if $next (i32.eq (call $byte (i32.sub (local.get $at) (i32.const 1))) (i32.const 0x2c))))  ;; ,
    (if (i32.ne (call $byte (i32.sub (local.get $at) (i32.const 1))) (local.get $closing)) (then (unreachable)))
    (local.get $at))

  ;; Behind a text that begins there.
  (func $after_text (param $at i32) (result i32)
    (local $byte i32)
    (if (i32.ne (call $byte (local.get $at)) (i32.const 0x22)) (then (unreachable)))
    (loop $next
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $byte (call $byte (local.get $at)))
      (if (i32.eq (local.get $byte) (i32.const 0x5c))  ;; \ and what it is for: never a quote that ends the text
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))
      (if (i32.lt_u (local.get $byte) (i32.const 0x20)) (then (unreachable)))
      (br_if $next (i32.ne (local.get $byte) (i32.const 0x22))))
    (i32.add (local.get $at) (i32.const 1)))

  ;; Behind a number, true, false or null: small letters, digits and a minus.
  (func $after_word (param $at i32) (result i32)
    (local $begin i32)
    (local $byte i32)
    (local.set $begin (local.get $at))
    (loop $next
      (local.set $byte (call $byte (local.get $at)))
      (if
        (i32.or
          (i32.or
            (i32.lt_u (i32.sub (local.get $byte) (i32.const 0x30)) (i32.const 10))
            (i32.lt_u (i32.sub (local.get $byte) (i32.const 0x61)) (i32.const 26)))
          (i32.eq (local.get $byte) (i32.const 0x2d)))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))))
    (if (i32.eq (local.get $at) (local.get $begin)) (then (unreachable)))
    (local.get $at))

  ;; The number that these digits write: 19 of them at most, and nothing else.
  (func $number (param $at i32) (param $length i32) (result i64)
    (local $number i64)
    (local $digit i32)
    (if (i32.or (i32.eqz (local.get $length)) (i32.gt_u (local.get $length) (global.get $most_digits)))
      (then (unreachable)))
    (loop $next
      (local.set $digit (i32.sub (call $byte (local.get $at)) (i32.const 0x30)))
      (if (i32.gt_u (local.get $digit) (i32.const 9)) (then (unreachable)))
      (local.set $number
        (i64.add (i64.mul (local.get $number) (i64.const 10)) (i64.extend_i32_u (local.get $digit))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (local.tee $length (i32.sub (local.get $length) (i32.const 1)))))
    (local.get $number))

  ;; --- writing

  (func $write (param $from i32) (param $length i32)
    (memory.copy (global.get $written) (local.get $from) (local.get $length))
    (global.set $written (i32.add (global.get $written) (local.get $length))))

  (func $write_number (param $number i64)
    (local $at i32)
    (local.set $at (i32.add (global.get $digits) (i32.const 20)))
    (loop $next
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8
        (local.get $at)
        (i32.add (i32.const 0x30) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
      (br_if $next (i64.ne (local.tee $number (i64.div_u (local.get $number) (i64.const 10))) (i64.const 0))))
    (call $write (local.get $at) (i32.sub (i32.add (global.get $digits) (i32.const 20)) (local.get $at))))

  ;; The place of the verdict, with this as its end: the address in the upper half, the length in the lower.
  (func $verdict (param $end i32) (param $length i32) (result i64)
    (call $write (local.get $end) (local.get $length))
    (i64.or
      (i64.shl (i64.extend_i32_u (global.get $answer)) (i64.const 32))
      (i64.extend_i32_u (i32.sub (global.get $written) (global.get $answer))))))

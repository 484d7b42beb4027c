;; No memory at all, and results to be written to it.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 8))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $get (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 12))
    (if (i32.ne (i32.const 6)) (then unreachable))
    (i32.const 0)))

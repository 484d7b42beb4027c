;; Actions that do not exist.
  (func (export "proxy_abi_version_0_2_1"))
  (export "malloc" (func $allocate))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 2))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 2))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const -1))

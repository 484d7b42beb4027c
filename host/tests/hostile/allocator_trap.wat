;; An allocator that dies.
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) unreachable)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $say (str "get") (call $proxy_get_header_map_value (i32.const 0) (str ":path") (i32.const 8) (i32.const 12)))
    (call $say (str "property") (call $proxy_get_property (str "plugin_name") (i32.const 8) (i32.const 12)))
    (call $say (str "pairs") (call $proxy_get_header_map_pairs (i32.const 0) (i32.const 8) (i32.const 12)))
    (call $say (str "missing") (call $proxy_get_header_map_value (i32.const 0) (str "x-none") (i32.const 8) (i32.const 12)))
    (i32.const 0))

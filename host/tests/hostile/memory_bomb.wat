;; Takes all memory that it gets.
  (func (export "proxy_abi_version_0_2_1"))
  (export "malloc" (func $allocate))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (block $full
      (loop $more
        (br_if $full (i32.eq (memory.grow (i32.const 64)) (i32.const -1)))
        (br $more)))
    (call $say (str "pages") (memory.size))
    (call $say (str "get") (call $proxy_get_header_map_value (i32.const 0) (str ":path") (i32.const 8) (i32.const 12)))
    (i32.const 0))

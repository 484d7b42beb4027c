;; Asks for a property before there is a context.
  (func (export "proxy_abi_version_0_2_1"))
  (export "malloc" (func $allocate))
  (func (export "_initialize")
    (drop (call $proxy_get_property (str "plugin_name") (i32.const 8) (i32.const 12))))

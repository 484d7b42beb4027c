;; A loop without end before it has begun.
  (func (export "proxy_abi_version_0_2_1"))
  (export "malloc" (func $allocate))
  (func (export "_initialize") (loop $again (br $again)))

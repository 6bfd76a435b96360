//! .
#![allow(missing_docs)]
pub fn descriptors() -> &'static prost_reflect::DescriptorPool {
    static POOL: std::sync::LazyLock<prost_reflect::DescriptorPool> =
        std::sync::LazyLock::new(prost_reflect::DescriptorPool::global);
    &POOL
}

//! Where the Pods of Services are: EndpointSlices, and Endpoints, their older form.

mod addresses;
mod backends;
mod mirroring;
mod packing;
mod slices;
#[cfg(test)]
mod tests;

pub use addresses::EndpointsController;
pub use mirroring::EndpointSliceMirroringController;
pub use slices::EndpointSliceController;

//! One line turns a type into a module.

/// Exports a [`PacketFunction`](crate::PacketFunction) as a component; natively it does nothing.
///
/// The type must implement `Default`. Name and version are those of the crate that calls the macro.
#[macro_export]
macro_rules! export_packet_function {
    ($function:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Module;

            impl $crate::guest::packet_function::Exported for Module {
                type Function = $function;
                const NAME: &'static str = env!("CARGO_PKG_NAME");
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");

                fn with<R>(
                    call: impl FnOnce(
                        &mut $crate::guest::packet_function::Running<Self::Function>,
                    ) -> R,
                ) -> R {
                    use std::cell::RefCell;
                    thread_local! {
                        static RUNNING: RefCell<
                            $crate::guest::packet_function::Running<$function>,
                        > = RefCell::default();
                    }
                    RUNNING.with_borrow_mut(call)
                }
            }

            $crate::bindings::packet_function::export_packet_function!(
                Module with_types_in $crate::bindings::packet_function
            );
        };
    };
}

/// Exports a [`Classifier`](crate::Classifier) as a component; natively it does nothing.
///
/// The type must implement `Default`. Name and version are those of the crate that calls the macro.
#[macro_export]
macro_rules! export_classifier {
    ($classifier:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Module;

            impl $crate::guest::classifier::Exported for Module {
                type Classifier = $classifier;
                const NAME: &'static str = env!("CARGO_PKG_NAME");
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");

                fn with<R>(call: impl FnOnce(&mut Self::Classifier) -> R) -> R {
                    use std::cell::RefCell;
                    thread_local! {
                        static RUNNING: RefCell<$classifier> = RefCell::default();
                    }
                    RUNNING.with_borrow_mut(call)
                }
            }

            $crate::bindings::classifier_module::export_classifier_module!(
                Module with_types_in $crate::bindings::classifier_module
            );
        };
    };
}

/// Exports a [`Steering`](crate::Steering) as a component; natively it does nothing.
///
/// The type must implement `Default`. Name and version are those of the crate that calls the macro.
#[macro_export]
macro_rules! export_steering {
    ($steering:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Module;

            impl $crate::guest::steering::Exported for Module {
                type Steering = $steering;
                const NAME: &'static str = env!("CARGO_PKG_NAME");
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");

                fn with<R>(call: impl FnOnce(&mut Self::Steering) -> R) -> R {
                    use std::cell::RefCell;
                    thread_local! {
                        static RUNNING: RefCell<$steering> = RefCell::default();
                    }
                    RUNNING.with_borrow_mut(call)
                }
            }

            $crate::bindings::steering_module::export_steering_module!(
                Module with_types_in $crate::bindings::steering_module
            );
        };
    };
}

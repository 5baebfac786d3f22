//! Integers, booleans, floats and fixed arrays.

use super::{CodecError, Reader, Wire, Writer};
use crate::describe::{Length, Shape};

macro_rules! integers {
    ($($int:ident)*) => { $(
        impl Wire for $int {
            const SHAPE: Shape = Shape::scalar(stringify!($int));
            const MIN_SIZE: usize = size_of::<$int>();

            fn zero() -> Self {
                0
            }

            fn put(&self, out: &mut Writer) -> Result<(), CodecError> {
                out.bytes(&self.to_be_bytes());
                Ok(())
            }

            fn take(input: &mut Reader<'_>) -> Result<Self, CodecError> {
                input.array().map(Self::from_be_bytes)
            }

            fn literal(&self) -> String {
                self.to_string()
            }
        }
    )* };
}

integers!(u8 u16 u32 u64 i8 i16 i32 i64);

impl Wire for f64 {
    const SHAPE: Shape = Shape::scalar("f64");
    const MIN_SIZE: usize = 8;

    fn zero() -> Self {
        0.0
    }

    /// VPP sends floats in the order of its host; all hosts it runs on are little-endian.
    fn put(&self, out: &mut Writer) -> Result<(), CodecError> {
        out.bytes(&self.to_le_bytes());
        Ok(())
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        input.array().map(Self::from_le_bytes)
    }

    fn literal(&self) -> String {
        format!("{self:?}")
    }
}

impl Wire for bool {
    const SHAPE: Shape = Shape::scalar("bool");
    const MIN_SIZE: usize = 1;

    fn zero() -> Self {
        false
    }

    fn put(&self, out: &mut Writer) -> Result<(), CodecError> {
        u8::from(*self).put(out)
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(u8::take(input)? != 0)
    }

    /// VPP's generator spells a true default as a string.
    fn literal(&self) -> String {
        if *self {
            "\"true\"".into()
        } else {
            "false".into()
        }
    }
}

impl<T: Wire, const N: usize> Wire for [T; N] {
    const SHAPE: Shape = Shape {
        ty: T::SHAPE.ty,
        length: Length::Fixed(N),
    };
    const MIN_SIZE: usize = T::MIN_SIZE * N;

    fn zero() -> Self {
        std::array::from_fn(|_| T::zero())
    }

    fn put(&self, out: &mut Writer) -> Result<(), CodecError> {
        super::put_list(self, out)
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut items = Self::zero();
        for item in &mut items {
            *item = T::take(input)?;
        }
        Ok(items)
    }
}

//! 80-bit floats, in which INCRBYFLOAT and HINCRBYFLOAT count.

//! One slice per resource: messages, validation, SQL, endpoints, host functions and tests.

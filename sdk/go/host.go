package guildhall

/*
#cgo CFLAGS: -I${SRCDIR}/../include
#include "guildhall.h"

// Go cannot call a function pointer of C.
static inline uint32_t gh_resolve(const guildhall_host *host, const char *name, size_t len) {
	return host->resolve(name, len);
}
static inline guildhall_code gh_call(const guildhall_host *host, guildhall_call call, uint32_t function,
	const uint8_t *arguments, size_t len, guildhall_bytes *result) {
	return host->call(call, function, arguments, len, result);
}
static inline guildhall_bytes gh_context(const guildhall_host *host, guildhall_call call) {
	return host->context(call);
}
static inline void gh_answer(const guildhall_host *host, guildhall_call call, const uint8_t *data, size_t len) {
	host->answer(call, data, len);
}
static inline void gh_log(const guildhall_host *host, guildhall_call call, guildhall_level level,
	const uint8_t *text, size_t text_len, const uint8_t *fields, size_t fields_len) {
	host->log(call, level, text, text_len, fields, fields_len);
}
static inline guildhall_code gh_enroll(const guildhall_host *host, guildhall_call call, guildhall_point point,
	const char *name, size_t name_len, uint32_t function, const char *definition, size_t definition_len,
	guildhall_bytes *error) {
	return host->enroll(call, point, name, name_len, function, definition, definition_len, error);
}
static inline guildhall_bytes gh_bytes(const uint8_t *data, size_t len) {
	guildhall_bytes bytes = {data, len};
	return bytes;
}
static inline guildhall_code gh_match_broadcast(const guildhall_host *host, guildhall_call call, uint32_t flags,
	int64_t op_code, const uint8_t *data, size_t data_len, const uint8_t *recipients, size_t recipients_len,
	const uint8_t *sender, size_t sender_len, guildhall_bytes *error) {
	static const uint8_t empty;
	guildhall_broadcast broadcast = {
		sizeof broadcast, flags, op_code, gh_bytes(data ? data : &empty, data_len),
		gh_bytes(recipients, recipients_len), gh_bytes(sender, sender_len),
	};
	return host->match_broadcast(call, &broadcast, error);
}
static inline guildhall_code gh_match_kick(const guildhall_host *host, guildhall_call call,
	const uint8_t *presences, size_t len, guildhall_bytes *error) {
	return host->match_kick(call, presences, len, error);
}
static inline guildhall_code gh_match_label_update(const guildhall_host *host, guildhall_call call,
	const char *label, size_t len, guildhall_bytes *error) {
	return host->match_label_update(call, label, len, error);
}
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

// host is what the server offers, from the initialisation on.
var host *C.guildhall_host

var (
	functionsLock sync.RWMutex
	// functions are those registered, by number. They stay for good, as the library does.
	functions []func(nk *Nk, in *given) ([]byte, error)
	// numbers are those of host functions, by name.
	numbers sync.Map
)

// Nk is what a function sees of the server during one call: host functions, context, log.
type Nk struct {
	call    C.guildhall_call
	context *Context
}

// Context is the context of the call; read from the server at the first use.
func (nk *Nk) Context() *Context {
	if nk.context == nil {
		context := new(Context)
		// What the server encoded is readable; were it not, the context would be empty.
		_ = context.decode(copied(C.gh_context(host, nk.call)))
		nk.context = context
	}
	return nk.context
}

// Call calls a host function by name ("storage_write") with its positional arguments: nil, bool,
// numbers, string, []byte, and slices and string-keyed maps of these. The result is nil, bool,
// int64, float64, string, []byte, []any or map[string]any.
//
// Its error is an *Error: Unimplemented for a function that the server lacks, InvalidArgument for
// arguments that do not fit, or the function's own.
func (nk *Nk) Call(name string, arguments ...any) (any, error) {
	number, err := number(name)
	if err != nil {
		return nil, err
	}
	encoded, err := encodeArguments(arguments)
	if err != nil {
		return nil, Errorf(InvalidArgument, "%s: %s", name, err)
	}
	var result C.guildhall_bytes
	code := C.gh_call(host, nk.call, number, bytesOf(encoded), C.size_t(len(encoded)), &result)
	data := copied(result)
	if code != C.GUILDHALL_OK {
		return nil, &Error{Code(code), string(data)}
	}
	return decodeValue(data)
}

// Log writes a line with fields, or none, to the server's log.
func (nk *Nk) Log(level Level, fields map[string]any, format string, values ...any) {
	var encoded []byte
	if len(fields) != 0 {
		var err error
		if encoded, err = encodeMap(fields); err != nil {
			format, values = format+" (fields: %s)", append(values, err)
		}
	}
	log(nk.call, level, fmt.Sprintf(format, values...), encoded)
}

// Register registers a function for any point; definition is JSON for points that carry data (a
// storage index), else empty.
func (m *Module) Register(point Point, name, definition string, function Function) error {
	return m.enroll(point, name, definition, func(nk *Nk, in *given) ([]byte, error) {
		return function(nk, in.payload, in.request)
	})
}

// given is what a function is called with.
type given struct {
	kind             C.guildhall_kind
	payload, request []byte
	// match is the number of the match whose function is called.
	match uint64
	tick  int64
	grace uint64
}

func (m *Module) enroll(point Point, name, definition string, function func(nk *Nk, in *given) ([]byte, error)) error {
	functionsLock.Lock()
	number := len(functions)
	functions = append(functions, function)
	functionsLock.Unlock()
	var message C.guildhall_bytes
	code := C.gh_enroll(host, m.nk.call, C.guildhall_point(point), charsOf(name), C.size_t(len(name)),
		C.uint32_t(number), charsOf(definition), C.size_t(len(definition)), &message)
	return failure(code, message)
}

// broadcast sends a message to members of the match whose function runs. Recipients are all where
// they are nil.
func (nk *Nk) broadcast(flags C.uint32_t, opCode int64, data, recipients, sender []byte) error {
	var message C.guildhall_bytes
	code := C.gh_match_broadcast(host, nk.call, flags, C.int64_t(opCode), bytesOf(data), C.size_t(len(data)),
		bytesOf(recipients), C.size_t(len(recipients)), bytesOf(sender), C.size_t(len(sender)), &message)
	return failure(code, message)
}

func (nk *Nk) kick(presences []byte) error {
	var message C.guildhall_bytes
	code := C.gh_match_kick(host, nk.call, bytesOf(presences), C.size_t(len(presences)), &message)
	return failure(code, message)
}

func (nk *Nk) updateLabel(label string) error {
	var message C.guildhall_bytes
	code := C.gh_match_label_update(host, nk.call, charsOf(label), C.size_t(len(label)), &message)
	return failure(code, message)
}

func failure(code C.guildhall_code, message C.guildhall_bytes) error {
	if code == C.GUILDHALL_OK {
		return nil
	}
	return &Error{Code(code), string(copied(message))}
}

func log(call C.guildhall_call, level Level, text string, fields []byte) {
	data := []byte(text)
	C.gh_log(host, call, C.guildhall_level(level), bytesOf(data), C.size_t(len(data)),
		bytesOf(fields), C.size_t(len(fields)))
}

func answer(call C.guildhall_call, data []byte) {
	C.gh_answer(host, call, bytesOf(data), C.size_t(len(data)))
}

func number(name string) (C.uint32_t, error) {
	if known, ok := numbers.Load(name); ok {
		return known.(C.uint32_t), nil
	}
	number := C.gh_resolve(host, charsOf(name), C.size_t(len(name)))
	if number == 0 {
		return 0, Errorf(Unimplemented, "this server has no function %s", name)
	}
	numbers.Store(name, number)
	return number, nil
}

// copied is a copy of the server's bytes, nil where there is nothing at all.
func copied(bytes C.guildhall_bytes) []byte {
	if bytes.data == nil {
		return nil
	}
	return append([]byte{}, unsafe.Slice((*byte)(unsafe.Pointer(bytes.data)), int(bytes.len))...)
}

func bytesOf(data []byte) *C.uint8_t {
	return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(data)))
}

func charsOf(text string) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(text)))
}

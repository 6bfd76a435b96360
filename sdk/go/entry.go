package guildhall

/*
#include "guildhall.h"

guildhall_code guildhall_go_invoke(guildhall_call call, uint32_t function, guildhall_input *input);
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"unsafe"
)

var start func(m *Module) error

// Start names the module's initialisation; called from an init function of package main.
func Start(initialise func(m *Module) error) { start = initialise }

//export guildhall_module_init
func guildhall_module_init(server *C.guildhall_host, call C.guildhall_call, module *C.guildhall_module) C.guildhall_code {
	module.version = C.GUILDHALL_ABI_VERSION
	if server.version != C.GUILDHALL_ABI_VERSION ||
		uintptr(server.size) < unsafe.Sizeof(*server) || uintptr(module.size) < unsafe.Sizeof(*module) {
		return C.GUILDHALL_FAILED_PRECONDITION
	}
	module.size = C.uint32_t(unsafe.Sizeof(*module))
	module.invoke = (*[0]byte)(C.guildhall_go_invoke)
	host = server
	return finish(call, func(nk *Nk) ([]byte, error) {
		if start == nil {
			return nil, errors.New("the module names no initialisation by guildhall.Start")
		}
		return nil, start(&Module{nk})
	})
}

//export guildhall_go_invoke
func guildhall_go_invoke(call C.guildhall_call, function C.uint32_t, input *C.guildhall_input) C.guildhall_code {
	return finish(call, func(nk *Nk) ([]byte, error) {
		functionsLock.RLock()
		var found func(nk *Nk, in *given) ([]byte, error)
		if int(function) < len(functions) {
			found = functions[function]
		}
		functionsLock.RUnlock()
		if found == nil {
			return nil, Errorf(Unimplemented, "the module has no such function")
		}
		return found(nk, &given{
			kind: input.kind, payload: copied(input.payload), request: copied(input.request),
			match: uint64(input.match), tick: int64(input.tick), grace: uint64(input.grace_s),
		})
	})
}

// finish runs work, contains its panic, and tells the server how it ended.
func finish(call C.guildhall_call, work func(nk *Nk) ([]byte, error)) C.guildhall_code {
	nk := &Nk{call: call}
	data, err := contained(nk, work)
	// A goroutine that kept it gets an error instead of another call's server.
	nk.call = 0
	if err == nil {
		if data != nil {
			answer(call, data)
		}
		return C.GUILDHALL_OK
	}
	answer(call, []byte(err.Error()))
	var coded *Error
	if errors.As(err, &coded) && coded.Code != OK {
		return C.guildhall_code(coded.Code)
	}
	return C.GUILDHALL_INTERNAL
}

func contained(nk *Nk, work func(nk *Nk) ([]byte, error)) (data []byte, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			message := fmt.Sprintf("panic at %s: %v", place(), reason)
			nk.Log(LevelError, map[string]any{"stack": string(debug.Stack())}, "%s", message)
			data, err = nil, &Error{Internal, message}
		}
	}()
	return work(nk)
}

// place is file, line and function of the panic in progress.
func place() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	panicking := false
	for {
		frame, more := frames.Next()
		inner := strings.HasPrefix(frame.Function, "runtime.")
		if panicking && !inner {
			return fmt.Sprintf("%s:%d (%s)", frame.File, frame.Line, frame.Function)
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}

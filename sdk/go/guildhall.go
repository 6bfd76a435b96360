// Package guildhall is what a native module in Go is written against.
//
// A module is a package main, built by `go build -buildmode=c-shared`, that names its
// initialisation in an init function:
//
//	func init() { guildhall.Start(register) }
//
//	func register(m *guildhall.Module) error {
//		return m.RPC("greet", func(nk *guildhall.Nk, payload []byte) ([]byte, error) {
//			nk.Info("greeting %s", nk.Context().Username)
//			return append([]byte("hello "), payload...), nil
//		})
//	}
//
//	func main() {}
//
// A panic of a registered function is answered as an error with file and line. A panic in a
// goroutine that the module starts itself ends the server: recover there. The server's functions
// work only on the goroutine that a registered function was called on, until it returns.
package guildhall

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Code is a gRPC status code.
type Code uint32

// The codes of gRPC.
const (
	OK Code = iota
	Cancelled
	Unknown
	InvalidArgument
	DeadlineExceeded
	NotFound
	AlreadyExists
	PermissionDenied
	ResourceExhausted
	FailedPrecondition
	Aborted
	OutOfRange
	Unimplemented
	Internal
	Unavailable
	DataLoss
	Unauthenticated
)

// Error is an error with the code and the sentence that a client sees. Any other error that a
// function returns has code Internal.
type Error struct {
	Code    Code
	Message string
}

// Errorf makes an Error.
func Errorf(code Code, format string, values ...any) *Error {
	return &Error{code, fmt.Sprintf(format, values...)}
}

// Error is the sentence.
func (e *Error) Error() string { return e.Message }

// Level is a level of the server's log.
type Level uint32

// The levels of the server's log.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)

// Point is what a function is registered for.
type Point uint32

// The points; the numbers are those of the C interface.
const (
	PointRPC Point = iota + 1
	PointBefore
	PointAfter
	PointRealtimeBefore
	PointRealtimeAfter
	PointMatch
	PointMatchmakerMatched
	PointMatchmakerOverride
	PointMatchmakerProcessor
	PointTournamentEnd
	PointTournamentReset
	PointLeaderboardReset
	PointStorageIndex
	PointStorageIndexFilter
	PointPurchaseNotificationApple
	PointSubscriptionNotificationApple
	PointPurchaseNotificationGoogle
	PointSubscriptionNotificationGoogle
	PointEvent
	PointEventSessionStart
	PointEventSessionEnd
	PointShutdown
)

// Function is a registered function with raw input: payload or response, and request; each nil
// where there is nothing. A nil answer is none.
type Function func(nk *Nk, payload, request []byte) ([]byte, error)

// Module is the module being initialised: where its functions are registered.
type Module struct{ nk *Nk }

// Nk is the server, for host functions during the initialisation.
func (m *Module) Nk() *Nk { return m.nk }

// RPC registers an RPC: it gets the payload as the client sent it and answers any bytes.
func (m *Module) RPC(id string, function func(nk *Nk, payload []byte) ([]byte, error)) error {
	return m.Register(PointRPC, id, "", func(nk *Nk, payload, _ []byte) ([]byte, error) {
		answer, err := function(nk, payload)
		if answer == nil {
			answer = []byte{}
		}
		return answer, err
	})
}

// Before registers a before hook of the API call name ("AuthenticateEmail"). It gets the request
// and gives back the one to go on with; nil answers the client that there is no such call.
func Before[M proto.Message](m *Module, name string, hook func(nk *Nk, request M) (M, error)) error {
	return m.Register(PointBefore, name, "", hookOf(hook))
}

// hookOf is a before hook in terms of bytes.
func hookOf[M proto.Message](hook func(nk *Nk, request M) (M, error)) Function {
	return func(nk *Nk, request, _ []byte) ([]byte, error) {
		in, err := decode[M](request)
		if err != nil {
			return nil, err
		}
		out, err := hook(nk, in)
		if err != nil || !out.ProtoReflect().IsValid() {
			return nil, err
		}
		return encode(out)
	}
}

// After registers an after hook of the API call name. It gets the response and the request, an
// empty message for nothing; its error is logged and not told to the client.
func After[R, M proto.Message](m *Module, name string, hook func(nk *Nk, response R, request M) error) error {
	return m.Register(PointAfter, name, "", func(nk *Nk, response, request []byte) ([]byte, error) {
		r, err := decode[R](response)
		if err != nil {
			return nil, err
		}
		in, err := decode[M](request)
		if err != nil {
			return nil, err
		}
		return nil, hook(nk, r, in)
	})
}

// BeforeRealtime registers a before hook of the socket message name ("ChannelJoin"); M is the API's
// Envelope. It gets the message and gives back the one to go on with, of the same kind; nil closes
// the client's socket. Of its error the client gets the sentence.
func BeforeRealtime[M proto.Message](m *Module, name string, hook func(nk *Nk, message M) (M, error)) error {
	return m.Register(PointRealtimeBefore, name, "", hookOf(hook))
}

// AfterRealtime registers an after hook of the socket message name; M is the API's Envelope. It gets
// what the client was answered, nil for nothing, and the message; its error is logged and not told to
// the client.
func AfterRealtime[M proto.Message](m *Module, name string, hook func(nk *Nk, answer, message M) error) error {
	return m.Register(PointRealtimeAfter, name, "", func(nk *Nk, answer, message []byte) ([]byte, error) {
		var out M
		if answer != nil {
			var err error
			if out, err = decode[M](answer); err != nil {
				return nil, err
			}
		}
		in, err := decode[M](message)
		if err != nil {
			return nil, err
		}
		return nil, hook(nk, out, in)
	})
}

// OnEvent registers a function for events: point is PointEvent, PointEventSessionStart or
// PointEventSessionEnd, and M the API's Event.
func OnEvent[M proto.Message](m *Module, point Point, function func(nk *Nk, event M) error) error {
	return m.Register(point, "", "", func(nk *Nk, payload, _ []byte) ([]byte, error) {
		event, err := decode[M](payload)
		if err != nil {
			return nil, err
		}
		return nil, function(nk, event)
	})
}

func decode[M proto.Message](data []byte) (M, error) {
	var none M
	message := none.ProtoReflect().New().Interface().(M)
	return message, proto.Unmarshal(data, message)
}

func encode(message proto.Message) ([]byte, error) {
	data, err := proto.Marshal(message)
	if data == nil {
		data = []byte{}
	}
	return data, err
}

// Debug writes a DEBUG line to the server's log.
func (nk *Nk) Debug(format string, values ...any) { nk.Log(LevelDebug, nil, format, values...) }

// Info writes an INFO line to the server's log.
func (nk *Nk) Info(format string, values ...any) { nk.Log(LevelInfo, nil, format, values...) }

// Warn writes a WARN line to the server's log.
func (nk *Nk) Warn(format string, values ...any) { nk.Log(LevelWarn, nil, format, values...) }

// Error writes an ERROR line to the server's log.
func (nk *Nk) Error(format string, values ...any) { nk.Log(LevelError, nil, format, values...) }

// Context is what a function is called in. What is not known is empty.
type Context struct {
	// Env is runtime.env of the configuration.
	Env map[string]string
	// ExecutionMode says why the function is called: "rpc", "before", "run_once".
	ExecutionMode string
	// Node is the server's name, Version its version.
	Node, Version string
	// Headers and QueryParams are those of an HTTP RPC.
	Headers, QueryParams map[string][]string
	// UserID and the following are the caller's.
	UserID, Username string
	Vars             map[string]string
	// UserSessionExp is when the session ends, Unix seconds.
	UserSessionExp int64
	// SessionID and Lang are those of a socket session.
	SessionID, Lang string
	// ClientIP and ClientPort are where the client calls from.
	ClientIP, ClientPort string
	// TraceID is the identity of the call in the server's log.
	TraceID string
}

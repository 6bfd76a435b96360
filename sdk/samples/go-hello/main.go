// A native module in Go: what the README beside it lists, in one file.
package main

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/heroiclabs/nakama-common/api"
	"github.com/heroiclabs/nakama-common/rtapi"

	guildhall "guildhall/sdk"
)

func init() { guildhall.Start(register) }

func main() {}

func register(m *guildhall.Module) error {
	return errors.Join(
		m.RPC("go_echo", echo),
		m.RPC("go_digest", digest),
		m.RPC("go_visit", visit),
		m.RPC("go_panic", broken),
		m.RegisterMatch("go_match", newRoom),
		guildhall.Before(m, "AuthenticateEmail", beforeEmail),
		guildhall.After(m, "AuthenticateEmail", afterEmail),
		guildhall.BeforeRealtime(m, "StatusUpdate", beforeStatus),
		guildhall.AfterRealtime(m, "StatusUpdate", afterStatus),
	)
}

// echo answers what it is sent.
func echo(_ *guildhall.Nk, payload []byte) ([]byte, error) { return payload, nil }

// digest shows a host function with an argument and a result.
func digest(nk *guildhall.Nk, payload []byte) ([]byte, error) {
	hash, err := nk.Call("sha256_hash", string(payload))
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"sha256": hash, "mode": nk.Context().ExecutionMode})
}

// visit counts the caller's visits in a storage object. The version makes concurrent visits safe:
// one that read an old count is refused.
func visit(nk *guildhall.Nk, _ []byte) ([]byte, error) {
	user := nk.Context().UserID
	if user == "" {
		return nil, guildhall.Errorf(guildhall.Unauthenticated, "a visit needs a user")
	}
	id := map[string]any{"collection": "visits", "key": "go", "user_id": user}
	objects, err := nk.Call("storage_read", []any{id})
	if err != nil {
		return nil, err
	}
	count, version := int64(1), "*"
	if found, _ := objects.([]any); len(found) == 1 {
		object, _ := found[0].(map[string]any)
		value, _ := object["value"].(map[string]any)
		before, _ := value["count"].(int64)
		count += before
		version, _ = object["version"].(string)
	}
	write := map[string]any{
		"collection": "visits", "key": "go", "user_id": user, "value": map[string]any{"count": count},
		"version": version, "permission_read": 1, "permission_write": 0,
	}
	if _, err := nk.Call("storage_write", []any{write}); err != nil {
		return nil, err
	}
	nk.Log(guildhall.LevelInfo, map[string]any{"count": count}, "visit of %s", nk.Context().Username)
	return json.Marshal(map[string]any{"count": count})
}

// broken shows that a panic ends this call only.
func broken(*guildhall.Nk, []byte) ([]byte, error) {
	var nobody *api.User
	nobody.Username = "boom"
	return nil, nil
}

// beforeEmail refuses throw-away addresses and mends spelling.
func beforeEmail(_ *guildhall.Nk, in *api.AuthenticateEmailRequest) (*api.AuthenticateEmailRequest, error) {
	account := in.GetAccount()
	if account == nil {
		return in, nil
	}
	account.Email = strings.ToLower(strings.TrimSpace(account.Email))
	if strings.HasSuffix(account.Email, "@throwaway.example") {
		return nil, guildhall.Errorf(guildhall.PermissionDenied, "Use an address that lasts.")
	}
	return in, nil
}

// afterEmail notes new accounts.
func afterEmail(nk *guildhall.Nk, session *api.Session, _ *api.AuthenticateEmailRequest) error {
	if session.Created {
		nk.Info("a new account: %s", nk.Context().UserID)
	}
	return nil
}

// beforeStatus refuses the status of the staff, closes the socket of who shouts, and mends spaces.
func beforeStatus(_ *guildhall.Nk, in *rtapi.Envelope) (*rtapi.Envelope, error) {
	status := in.GetStatusUpdate().GetStatus()
	if status == nil {
		return in, nil
	}
	status.Value = strings.TrimSpace(status.Value)
	switch {
	case strings.HasPrefix(status.Value, "staff"):
		return nil, guildhall.Errorf(guildhall.PermissionDenied, "Only the staff says so.")
	case strings.HasSuffix(status.Value, "!!!"):
		return nil, nil
	}
	return in, nil
}

// afterStatus notes who says what; out is what the client was answered.
func afterStatus(nk *guildhall.Nk, out, in *rtapi.Envelope) error {
	nk.Info("%s is now %q, told so: %t", nk.Context().Username, in.GetStatusUpdate().GetStatus().GetValue(), out != nil)
	return nil
}

package main

import (
	"encoding/json"
	"fmt"

	guildhall "guildhall/sdk"
)

// room is a match: who knows the password may join; what players send comes back to all.
type room struct{ members int }

func newRoom(_ *guildhall.Nk, params map[string]any) (guildhall.Match, guildhall.MatchInit, error) {
	label, err := json.Marshal(map[string]any{"language": "go", "room": params["room"]})
	return &room{}, guildhall.MatchInit{TickRateHz: 20, Label: string(label)}, err
}

func (r *room) JoinAttempt(_ *guildhall.Turn, _ guildhall.Presence, metadata map[string]string) (bool, string, error) {
	if metadata["password"] != "sesame" {
		return false, "wrong password", nil
	}
	return true, "", nil
}

func (r *room) Join(_ *guildhall.Turn, joined []guildhall.Presence) error {
	r.members += len(joined)
	return nil
}

func (r *room) Leave(_ *guildhall.Turn, left []guildhall.Presence) error {
	r.members -= len(left)
	if r.members == 0 {
		return guildhall.EndMatch
	}
	return nil
}

func (r *room) Loop(t *guildhall.Turn, messages []guildhall.MatchData) error {
	for _, message := range messages {
		sender := message.Sender
		var err error
		switch message.OpCode {
		case 3: // to be removed
			err = t.MatchKick(sender)
		case 2: // to come back when the tick has ended
			err = t.BroadcastMessageDeferred(102, message.Data, nil, &sender, true)
		case 4: // to change the label
			var label []byte
			label, err = json.Marshal(map[string]any{"language": "go", "room": string(message.Data)})
			if err == nil {
				err = t.MatchLabelUpdate(string(label))
			}
		case 5: // to break the match
			panic(sender.Username + " broke it")
		default:
			err = t.BroadcastMessage(101, message.Data, nil, &sender, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *room) Terminate(*guildhall.Turn, int) error { return nil }

func (r *room) Signal(t *guildhall.Turn, data string) (string, error) {
	err := t.BroadcastMessage(109, []byte(data), nil, nil, true)
	return fmt.Sprintf("heard %s with %d", data, r.members), err
}

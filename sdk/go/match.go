package guildhall

/*
#include "guildhall.h"
*/
import "C"

import (
	"errors"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protowire"
)

// EndMatch is returned by a function of a match that ends it.
var EndMatch = errors.New("the match ends")

// Presence is somebody in a match, or who wants to be in it.
type Presence struct {
	UserID, SessionID, Username string
	// Node is the server of the socket.
	Node string
	// Reason says why they came or went, in Join and Leave: 1 joined, 2 updated, 3 left,
	// 4 disconnected.
	Reason uint32
}

// MatchData is a message from a member.
type MatchData struct {
	Sender Presence
	// OpCode is the members' own number for its kind.
	OpCode int64
	Data   []byte
	// Reliable is whether the sender asked for reliable delivery.
	Reliable bool
	// ReceiveTimeMs is when it came, Unix milliseconds.
	ReceiveTimeMs int64
}

// Match is a match of this module's; its state are its fields.
//
// The server calls one function at a time. An error ends the match: EndMatch as it should, any other,
// like a panic, as a failure that disconnects the members. Other matches go on.
type Match interface {
	// JoinAttempt says whether somebody may join, and if not, why. They are not in the match yet.
	// The context shows their session, metadata is what the client sent along.
	JoinAttempt(t *Turn, presence Presence, metadata map[string]string) (allow bool, reason string, err error)
	// Join is called when they are in the match.
	Join(t *Turn, joined []Presence) error
	// Leave is called when they are no longer.
	Leave(t *Turn, left []Presence) error
	// Loop is a tick, with what members sent since the one before, in order.
	Loop(t *Turn, messages []MatchData) error
	// Terminate is called when the server stops in so many seconds.
	Terminate(t *Turn, graceSeconds int) error
	// Signal answers what somebody asks by match_signal.
	Signal(t *Turn, data string) (string, error)
}

// MatchInit is how a match begins.
type MatchInit struct {
	// TickRateHz is the ticks a second, 1 to 60.
	TickRateHz int
	// Label is what the match is listed with, at most 2048 bytes; queries look into JSON.
	Label string
}

// Turn is what a function of a match sees of the server and of its match.
type Turn struct {
	*Nk
	// Tick is the turn of the match.
	Tick int64
}

// BroadcastMessage sends a message at once. Presences are who gets it, of those that are in the
// match; nil for all. Sender is who it seems to come from, or nil.
func (t *Turn) BroadcastMessage(opCode int64, data []byte, presences []Presence, sender *Presence, reliable bool) error {
	return t.send(0, opCode, data, presences, sender, reliable)
}

// BroadcastMessageDeferred sends a message when the function has returned.
func (t *Turn) BroadcastMessageDeferred(opCode int64, data []byte, presences []Presence, sender *Presence, reliable bool) error {
	return t.send(C.GUILDHALL_BROADCAST_DEFERRED, opCode, data, presences, sender, reliable)
}

func (t *Turn) send(flags C.uint32_t, opCode int64, data []byte, presences []Presence, sender *Presence, reliable bool) error {
	if presences != nil && len(presences) == 0 {
		return nil
	}
	if !reliable {
		flags |= C.GUILDHALL_BROADCAST_UNRELIABLE
	}
	var from []byte
	if sender != nil {
		from = sender.append(nil)
	}
	return t.broadcast(flags, opCode, data, appendPresences(nil, presences), from)
}

// MatchKick removes members; those that are not there are passed over.
func (t *Turn) MatchKick(presences ...Presence) error { return t.kick(appendPresences(nil, presences)) }

// MatchLabelUpdate changes the label that the match is listed with.
func (t *Turn) MatchLabelUpdate(label string) error { return t.updateLabel(label) }

var (
	// matches are those that run, by number.
	matches    sync.Map
	lastNumber atomic.Uint64
)

// RegisterMatch registers what makes matches of this name, of the parameters that match_create was
// given.
func (m *Module) RegisterMatch(name string, create func(nk *Nk, params map[string]any) (Match, MatchInit, error)) error {
	return m.enroll(PointMatch, name, "", func(nk *Nk, in *given) ([]byte, error) {
		switch in.kind {
		case C.GUILDHALL_KIND_MATCH_INIT:
			params := map[string]any{}
			err := pairs(in.payload, func(name string, item []byte) (err error) {
				params[name], err = decodeValue(item)
				return err
			})
			if err != nil {
				return nil, err
			}
			made, init, err := create(nk, params)
			if err != nil || made == nil {
				return nil, err
			}
			number := lastNumber.Add(1)
			matches.Store(number, made)
			return init.encode(number), nil
		case C.GUILDHALL_KIND_MATCH_RELEASE:
			matches.Delete(in.match)
			return nil, nil
		}
		found, ok := matches.Load(in.match)
		if !ok {
			return nil, Errorf(Internal, "the module has no such match")
		}
		data, err := play(found.(Match), &Turn{nk, in.tick}, in)
		if errors.Is(err, EndMatch) {
			return nil, nil
		}
		return data, err
	})
}

// play calls the function that is meant.
func play(match Match, t *Turn, in *given) ([]byte, error) {
	goesOn := []byte{}
	switch in.kind {
	case C.GUILDHALL_KIND_MATCH_JOIN_ATTEMPT:
		presence, metadata, err := readAttempt(in.payload)
		if err != nil {
			return nil, err
		}
		allow, reason, err := match.JoinAttempt(t, presence, metadata)
		answer := protowire.AppendTag(goesOn, 1, protowire.VarintType)
		answer = protowire.AppendVarint(answer, protowire.EncodeBool(allow))
		return protowire.AppendString(protowire.AppendTag(answer, 2, protowire.BytesType), reason), err
	case C.GUILDHALL_KIND_MATCH_JOIN, C.GUILDHALL_KIND_MATCH_LEAVE:
		presences, err := readPresences(in.payload)
		if err != nil {
			return nil, err
		}
		if in.kind == C.GUILDHALL_KIND_MATCH_JOIN {
			return goesOn, match.Join(t, presences)
		}
		return goesOn, match.Leave(t, presences)
	case C.GUILDHALL_KIND_MATCH_LOOP:
		messages, err := readMessages(in.payload)
		if err != nil {
			return nil, err
		}
		return goesOn, match.Loop(t, messages)
	case C.GUILDHALL_KIND_MATCH_TERMINATE:
		return goesOn, match.Terminate(t, int(in.grace))
	case C.GUILDHALL_KIND_MATCH_SIGNAL:
		answer, err := match.Signal(t, string(in.payload))
		return append(goesOn, answer...), err
	}
	return nil, Errorf(Unimplemented, "the module has no such function")
}

// presenceReason is the number of the last field of a presence.
const presenceReason protowire.Number = 5

func (p *Presence) append(data []byte) []byte {
	for i, text := range []string{p.UserID, p.SessionID, p.Username, p.Node} {
		data = protowire.AppendTag(data, protowire.Number(i+1), protowire.BytesType)
		data = protowire.AppendString(data, text)
	}
	return data
}

func appendPresences(data []byte, presences []Presence) []byte {
	for i := range presences {
		data = protowire.AppendTag(data, 1, protowire.BytesType)
		data = protowire.AppendBytes(data, presences[i].append(nil))
	}
	return data
}

func (p *Presence) read(data []byte) error {
	texts := []*string{&p.UserID, &p.SessionID, &p.Username, &p.Node}
	return fields(data, func(field protowire.Number, number uint64, bytes []byte) error {
		if field >= 1 && int(field) <= len(texts) {
			*texts[field-1] = string(bytes)
		} else if field == presenceReason {
			p.Reason = uint32(number)
		}
		return nil
	})
}

func readPresences(data []byte) ([]Presence, error) {
	presences := []Presence{}
	err := fields(data, func(_ protowire.Number, _ uint64, item []byte) error {
		var presence Presence
		err := presence.read(item)
		presences = append(presences, presence)
		return err
	})
	return presences, err
}

func readAttempt(data []byte) (presence Presence, metadata map[string]string, err error) {
	metadata = map[string]string{}
	err = fields(data, func(field protowire.Number, _ uint64, bytes []byte) error {
		if field == 1 {
			return presence.read(bytes)
		}
		name, value, err := pair(bytes)
		metadata[name] = string(value)
		return err
	})
	return presence, metadata, err
}

func readMessages(data []byte) ([]MatchData, error) {
	messages := []MatchData{}
	err := fields(data, func(_ protowire.Number, _ uint64, item []byte) error {
		var message MatchData
		err := fields(item, func(field protowire.Number, number uint64, bytes []byte) error {
			switch field {
			case 1:
				return message.Sender.read(bytes)
			case 2:
				message.OpCode = int64(number)
			case 3:
				message.Data = bytes
			case 4:
				message.Reliable = protowire.DecodeBool(number)
			case 5:
				message.ReceiveTimeMs = int64(number)
			}
			return nil
		})
		messages = append(messages, message)
		return err
	})
	return messages, err
}

func (i MatchInit) encode(number uint64) []byte {
	// What is below zero is not in range either.
	rate := uint64(uint32(i.TickRateHz))
	data := protowire.AppendVarint(protowire.AppendTag([]byte{}, 1, protowire.VarintType), rate)
	data = protowire.AppendString(protowire.AppendTag(data, 2, protowire.BytesType), i.Label)
	return protowire.AppendVarint(protowire.AppendTag(data, 3, protowire.VarintType), number)
}

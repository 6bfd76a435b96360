package guildhall

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of sdk/proto/native.proto are few and small, so they are written and read here by
// hand: a module needs no generated code.

const (
	kindBool protowire.Number = iota + 1
	kindInt
	kindDouble
	kindString
	kindBytes
	kindList
	kindMap
)

// deepest is how far values may hold values, on both sides.
const deepest = 40

var errDeep = errors.New("a value holds values too deeply")

func encodeArguments(arguments []any) ([]byte, error) {
	return appendList(nil, reflect.ValueOf(arguments), 0)
}

func encodeMap(entries map[string]any) ([]byte, error) {
	return appendMap(nil, reflect.ValueOf(entries), 0)
}

func appendList(data []byte, list reflect.Value, depth int) ([]byte, error) {
	for i := 0; i < list.Len(); i++ {
		value, err := appendValue(nil, list.Index(i), depth+1)
		if err != nil {
			return nil, err
		}
		data = protowire.AppendBytes(protowire.AppendTag(data, 1, protowire.BytesType), value)
	}
	return data, nil
}

func appendMap(data []byte, entries reflect.Value, depth int) ([]byte, error) {
	if entries.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf("a map's keys must be strings, not %s", entries.Type().Key())
	}
	for each := entries.MapRange(); each.Next(); {
		value, err := appendValue(nil, each.Value(), depth+1)
		if err != nil {
			return nil, err
		}
		entry := protowire.AppendTag(nil, 1, protowire.BytesType)
		entry = protowire.AppendString(entry, each.Key().String())
		entry = protowire.AppendTag(entry, 2, protowire.BytesType)
		entry = protowire.AppendBytes(entry, value)
		data = protowire.AppendBytes(protowire.AppendTag(data, 1, protowire.BytesType), entry)
	}
	return data, nil
}

func appendValue(data []byte, value reflect.Value, depth int) ([]byte, error) {
	if depth > deepest {
		return nil, errDeep
	}
	switch value.Kind() {
	case reflect.Invalid:
		return data, nil
	case reflect.Interface, reflect.Pointer:
		if value.IsNil() {
			return data, nil
		}
		return appendValue(data, value.Elem(), depth)
	case reflect.Bool:
		data = protowire.AppendTag(data, kindBool, protowire.VarintType)
		return protowire.AppendVarint(data, protowire.EncodeBool(value.Bool())), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		data = protowire.AppendTag(data, kindInt, protowire.VarintType)
		return protowire.AppendVarint(data, uint64(value.Int())), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if value.Uint() > math.MaxInt64 {
			return appendDouble(data, float64(value.Uint())), nil
		}
		data = protowire.AppendTag(data, kindInt, protowire.VarintType)
		return protowire.AppendVarint(data, value.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return appendDouble(data, value.Float()), nil
	case reflect.String:
		data = protowire.AppendTag(data, kindString, protowire.BytesType)
		return protowire.AppendString(data, value.String()), nil
	case reflect.Slice, reflect.Array:
		if value.Kind() == reflect.Slice && value.Type().Elem().Kind() == reflect.Uint8 {
			data = protowire.AppendTag(data, kindBytes, protowire.BytesType)
			return protowire.AppendBytes(data, value.Bytes()), nil
		}
		list, err := appendList(nil, value, depth)
		return protowire.AppendBytes(protowire.AppendTag(data, kindList, protowire.BytesType), list), err
	case reflect.Map:
		entries, err := appendMap(nil, value, depth)
		return protowire.AppendBytes(protowire.AppendTag(data, kindMap, protowire.BytesType), entries), err
	default:
		return nil, fmt.Errorf("%s cannot be handed to the server: use a map", value.Type())
	}
}

func appendDouble(data []byte, number float64) []byte {
	data = protowire.AppendTag(data, kindDouble, protowire.Fixed64Type)
	return protowire.AppendFixed64(data, math.Float64bits(number))
}

// fields reads a message, and gives each field to read: its number, and either a number or bytes.
func fields(data []byte, read func(field protowire.Number, number uint64, bytes []byte) error) error {
	for len(data) > 0 {
		field, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return protowire.ParseError(size)
		}
		data = data[size:]
		var number uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			number, size = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			number, size = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			bytes, size = protowire.ConsumeBytes(data)
		default:
			size = protowire.ConsumeFieldValue(field, kind, data)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		data = data[size:]
		if err := read(field, number, bytes); err != nil {
			return err
		}
	}
	return nil
}

func decodeValue(data []byte) (any, error) { return readValue(data, 0) }

func readValue(data []byte, depth int) (value any, err error) {
	if depth > deepest {
		return nil, errDeep
	}
	err = fields(data, func(field protowire.Number, number uint64, bytes []byte) (err error) {
		switch field {
		case kindBool:
			value = protowire.DecodeBool(number)
		case kindInt:
			value = int64(number)
		case kindDouble:
			value = math.Float64frombits(number)
		case kindString:
			value = string(bytes)
		case kindBytes:
			value = append([]byte{}, bytes...)
		case kindList:
			list := []any{}
			err = fields(bytes, func(_ protowire.Number, _ uint64, item []byte) error {
				each, err := readValue(item, depth+1)
				list = append(list, each)
				return err
			})
			value = list
		case kindMap:
			entries := map[string]any{}
			err = pairs(bytes, func(name string, item []byte) (err error) {
				entries[name], err = readValue(item, depth+1)
				return err
			})
			value = entries
		}
		return err
	})
	return value, err
}

// pairs reads the entries of a map, all of field 1.
func pairs(data []byte, read func(name string, value []byte) error) error {
	return fields(data, func(_ protowire.Number, _ uint64, entry []byte) error {
		name, value, err := pair(entry)
		if err != nil {
			return err
		}
		return read(name, value)
	})
}

func pair(entry []byte) (name string, value []byte, err error) {
	err = fields(entry, func(field protowire.Number, _ uint64, bytes []byte) error {
		switch field {
		case 1:
			name = string(bytes)
		case 2:
			value = bytes
		}
		return nil
	})
	return name, value, err
}

func (c *Context) decode(data []byte) error {
	c.Env, c.Vars = map[string]string{}, map[string]string{}
	c.Headers, c.QueryParams = map[string][]string{}, map[string][]string{}
	texts := map[protowire.Number]*string{
		2: &c.ExecutionMode, 3: &c.Node, 4: &c.Version, 7: &c.UserID, 8: &c.Username,
		11: &c.SessionID, 12: &c.Lang, 13: &c.ClientIP, 14: &c.ClientPort, 15: &c.TraceID,
	}
	maps := map[protowire.Number]map[string]string{1: c.Env, 9: c.Vars}
	lists := map[protowire.Number]map[string][]string{5: c.Headers, 6: c.QueryParams}
	return fields(data, func(field protowire.Number, number uint64, bytes []byte) error {
		if text, ok := texts[field]; ok {
			*text = string(bytes)
		} else if entries, ok := maps[field]; ok {
			name, value, err := pair(bytes)
			entries[name] = string(value)
			return err
		} else if entries, ok := lists[field]; ok {
			name, values, err := pair(bytes)
			if err != nil {
				return err
			}
			return fields(values, func(_ protowire.Number, _ uint64, text []byte) error {
				entries[name] = append(entries[name], string(text))
				return nil
			})
		} else if field == 10 {
			c.UserSessionExp = int64(number)
		}
		return nil
	})
}

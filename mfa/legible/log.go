package legible

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Log returns log with what its lines say in texts and errors as Text writes
// it: the encoder for consoles, and whoever prints a file of lines, would
// otherwise hand it to the terminal.
func Log(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core { return legibleCore{core} }))
}

type legibleCore struct{ zapcore.Core }

func (c legibleCore) With(fields []zapcore.Field) zapcore.Core {
	return legibleCore{c.Core.With(legibleFields(fields))}
}

// Check leaves it to Write to ask the core, which may refuse a line by more
// than its level.
func (c legibleCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, c)
}

func (c legibleCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	entry.Message = Text(entry.Message)
	if checked := c.Core.Check(entry, nil); checked != nil {
		checked.Write(legibleFields(fields)...)
	}
	return nil
}

// legibleFields returns fields with their texts and errors legible. What is
// neither is of the product's own.
func legibleFields(fields []zapcore.Field) []zapcore.Field {
	shown := make([]zapcore.Field, len(fields))
	for i, field := range fields {
		shown[i] = field
		switch err, _ := field.Interface.(error); {
		case field.Type == zapcore.StringType:
			shown[i].String = Text(field.String)
		case field.Type == zapcore.ErrorType && err != nil:
			shown[i] = zap.String(field.Key, Text(err.Error()))
		}
	}
	return shown
}

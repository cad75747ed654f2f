import { useState } from 'react';

/** Something that is on or off at the server; `onChange` answers whether it could be changed. */
export function Choice({ label, help, checked, onChange }: { label: string; help: string; checked: boolean; onChange: (on: boolean) => Promise<boolean> }) {
  // What was chosen stands until the server's word of it has come.
  const [chosen, setChosen] = useState<{ readonly on: boolean; readonly before: boolean } | null>(null);
  const shown = chosen && chosen.before === checked ? chosen.on : checked;
  return (
    <label className="choice">
      <input
        type="checkbox"
        checked={shown}
        onChange={(event) => {
          const choice = { on: event.currentTarget.checked, before: checked };
          setChosen(choice);
          void onChange(choice.on).then((done) => {
            if (!done) setChosen((now) => (now === choice ? null : now));
          });
        }}
      />
      <span>
        {label}
        <span className="dim">{help}</span>
      </span>
    </label>
  );
}

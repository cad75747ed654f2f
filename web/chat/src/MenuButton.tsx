import { ActionIcon } from '@mantine/core';
import { type KeyboardEvent, type ReactNode, useLayoutEffect, useRef, useState } from 'react';

/** A line of a menu; with `checked` one that is on or off, of several (`radio`) or by itself. null in its place is a divider. */
export interface MenuLine {
  readonly label: string;
  readonly onSelect: () => void;
  readonly checked?: boolean;
  readonly radio?: boolean;
  readonly danger?: boolean;
  /** The language of the label, where it is not the page's. */
  readonly lang?: string;
}

interface Props {
  readonly label: string;
  readonly icon: ReactNode;
  readonly size?: 'md' | 'lg';
  readonly color?: string;
  /** Asked for when the menu opens. */
  readonly lines: () => readonly (MenuLine | null)[];
  readonly onOpen?: () => void;
}

/** A button that opens a menu. Until then it costs no more than a button. */
export function MenuButton({ label, icon, size = 'lg', color, lines, onOpen }: Props) {
  const button = useRef<HTMLButtonElement>(null);
  const [shown, setShown] = useState<readonly (MenuLine | null)[] | null>(null);
  // A press on the button closes the menu before it is a click.
  const wasOpen = useRef(false);
  return (
    <>
      <ActionIcon
        ref={button}
        variant="subtle"
        size={size}
        {...(color ? { color } : {})}
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={shown !== null}
        onPointerDown={() => {
          wasOpen.current = shown !== null;
        }}
        onClick={() => {
          const closes = wasOpen.current;
          wasOpen.current = false;
          if (closes) return setShown(null);
          onOpen?.();
          setShown(lines());
        }}
      >
        {icon}
      </ActionIcon>
      {shown ? <Menu anchor={button.current} label={label} lines={shown} onClose={() => setShown(null)} /> : null}
    </>
  );
}

function Menu({ anchor, label, lines, onClose }: { anchor: HTMLElement | null; label: string; lines: readonly (MenuLine | null)[]; onClose: () => void }) {
  const menu = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const shown = menu.current;
    if (!shown) return;
    shown.showPopover();
    if (anchor) place(shown, anchor.getBoundingClientRect());
    (shown.querySelector<HTMLElement>('[aria-checked="true"]') ?? shown.querySelector('button'))?.focus();
  }, [anchor]);

  function keyDown(event: KeyboardEvent): void {
    const buttons = [...(menu.current?.querySelectorAll('button') ?? [])];
    const at = buttons.findIndex((button) => button === document.activeElement);
    const next = nextIndex(event.key, at, buttons);
    if (next !== null) {
      event.preventDefault();
      buttons[next]?.focus();
    } else if (event.key === 'Tab') {
      menu.current?.hidePopover();
    }
    event.stopPropagation();
  }

  return (
    <div
      ref={menu}
      popover="auto"
      role="menu"
      aria-label={label}
      className="menu"
      onKeyDown={keyDown}
      onToggle={(event) => {
        if (event.newState === 'closed') onClose();
      }}
    >
      {lines.map((line, i) =>
        line ? (
          <button
            key={line.label}
            type="button"
            role={line.checked === undefined ? 'menuitem' : line.radio ? 'menuitemradio' : 'menuitemcheckbox'}
            aria-checked={line.checked}
            lang={line.lang}
            tabIndex={-1}
            className={line.danger ? 'menu-line menu-danger' : 'menu-line'}
            onClick={() => {
              // First: it gives the focus back to the button, and what is selected may take it.
              menu.current?.hidePopover();
              onClose();
              line.onSelect();
            }}
          >
            {line.checked === undefined ? null : <span className="menu-check">{line.checked ? '✓' : ''}</span>}
            {line.label}
          </button>
        ) : (
          <hr key={`divider ${i}`} />
        ),
      )}
    </div>
  );
}

/** Where a key moves the focus to: arrows, Home and End, and the next line that begins with a letter; null of other keys. */
function nextIndex(key: string, at: number, buttons: readonly HTMLElement[]): number | null {
  const n = buttons.length;
  if (key === 'ArrowDown') return (at + 1) % n;
  if (key === 'ArrowUp') return (at + n - 1) % n;
  if (key === 'Home') return 0;
  if (key === 'End') return n - 1;
  if (key.length !== 1 || key === ' ') return null;
  for (let i = 1; i <= n; i++) {
    const other = (at + i) % n;
    if (buttons[other]?.textContent.replace('✓', '').toLowerCase().startsWith(key.toLowerCase())) return other;
  }
  return null;
}

/** Below the anchor, or above it where there is more room, with their right edges together; always in the window. */
function place(menu: HTMLElement, anchor: DOMRect): void {
  const gap = 4;
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = anchor.bottom + gap;
  const top = below + height <= window.innerHeight || anchor.top < window.innerHeight / 2 ? below : anchor.top - gap - height;
  const left = anchor.left < window.innerWidth / 2 && anchor.right - width < gap ? anchor.left : anchor.right - width;
  menu.style.top = `${Math.max(gap, Math.min(top, window.innerHeight - height - gap))}px`;
  menu.style.left = `${Math.max(gap, Math.min(left, window.innerWidth - width - gap))}px`;
}

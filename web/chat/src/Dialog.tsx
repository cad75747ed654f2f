import { type ReactNode, useId, useLayoutEffect, useRef } from 'react';
import { CloseIcon } from './icons';
import { useText } from './language';

/**
 * A dialog over the page. The browser keeps the focus in it, closes it by Escape and gives the focus back; a press beside it closes it
 * too. What has `data-autofocus` gets the focus first.
 */
export function Dialog({ title, onClose, className, children }: { title: string; onClose: () => void; className?: string; children: ReactNode }) {
  const text = useText();
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  // A layout effect: it closes the dialog while it is still in the page, or the focus would not go back.
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    shown?.querySelector<HTMLElement>('[data-autofocus]')?.focus();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className={className ? `dialog ${className}` : 'dialog'}
      aria-labelledby={heading}
      onCancel={(event) => {
        // A file field's own cancel comes here as well.
        if (event.target !== event.currentTarget) return;
        event.preventDefault();
        onClose();
      }}
      onClose={(event) => {
        if (event.target === event.currentTarget && !event.currentTarget.open) onClose();
      }}
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
    >
      <div className="dialog-body">
        <header className="dialog-head">
          <h1 id={heading} className="ellipsis">
            {title}
          </h1>
          <button type="button" className="dialog-close" aria-label={text.close} onClick={onClose}>
            <CloseIcon />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

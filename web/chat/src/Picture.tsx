import { Button } from '@mantine/core';
import { Dialog } from './Dialog';
import { useText } from './language';
import { saveAs } from './Save';

/** An image as large as the window. */
export function Picture({ url, name, onClose }: { url: string; name: string; onClose: () => void }) {
  const text = useText();
  return (
    <Dialog title={name} onClose={onClose} className="dialog-picture">
      <img src={url} alt={name} />
      <Button variant="light" onClick={() => saveAs(url, name)}>
        {text.download}
      </Button>
    </Dialog>
  );
}

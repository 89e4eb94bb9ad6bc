import t from 'tap';
import { sourceNameFromPath } from '../../lib/config/source.js';

t.test('names made from paths', async (t) => {
  t.equal(sourceNameFromPath('/'), 'root');
  t.equal(sourceNameFromPath('/home/me/'), 'me');
  t.equal(sourceNameFromPath('/home/me/.config'), 'config');
  t.equal(sourceNameFromPath('/home/...'), 'source');
  t.equal(sourceNameFromPath('/etc/hosts'), 'hosts_');
  t.equal(sourceNameFromPath('/a/b\x1b[31m c'), 'b_[31m c');
});

// Memory for C++ objects in a process that makes and drops tens of millions of small ones and ends soon.
#pragma once

namespace dnn {

/// From here on `new` takes what has up to 8 KB from lists of free blocks, one for each thread and size, without locks;
/// `delete` puts it back there. Such memory is never joined to larger blocks, given to another thread or back to the
/// system. Objects from before stay valid. Where the system refuses the addresses, and in builds with sanitizers,
/// nothing changes. A forked process calls it again, so that it does not copy pages of its parent by writing to blocks
/// that are free there.
void keepObjectMemory();

} // namespace dnn

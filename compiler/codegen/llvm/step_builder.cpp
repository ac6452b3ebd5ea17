#include "compiler/codegen/llvm/step_builder.h"

#include "compiler/support/assert.h"
#include "runtime/include/dnn/abi.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicsX86.h>

namespace dnn::codegen {

namespace {

/// Fields of halide_buffer_t that are used here.
enum BufferField : unsigned { HostField = 2 };
/// Fields of halide_dimension_t.
enum DimensionField : unsigned { ExtentField = 1, StrideField = 2 };

/// The code of a halide_type_t.
uint8_t halideCode(DType t) {
  switch (t) {
  case DType::F32:
  case DType::F64: return 2;
  case DType::I32:
  case DType::I64: return 0;
  case DType::U8:
  case DType::U32:
  case DType::BF16: // kernels move floats of 16 bits as their bits
  case DType::F16:
  case DType::Bool: return 1;
  }
  DNN_UNREACHABLE("every element type has a Halide type");
}

uint8_t halideBits(DType t) { return static_cast<uint8_t>(8 * byteSize(t)); } // bool is stored as u8

class StepBuilder {
public:
  StepBuilder(const StepProgram& program, llvm::LLVMContext& context)
      : program_(program), context_(context), module_(std::make_unique<llvm::Module>("step", context)), ir_(context) {
    i8_ = ir_.getInt8Ty();
    i16_ = ir_.getInt16Ty();
    i32_ = ir_.getInt32Ty();
    i64_ = ir_.getInt64Ty();
    ptr_ = ir_.getPtrTy();
    auto* type = llvm::StructType::create(context_, {i8_, i8_, i16_}, "halide_type");
    buffer_ = llvm::StructType::create(context_, {i64_, ptr_, ptr_, i64_, type, i32_, ptr_, ptr_}, "halide_buffer");
    dimension_ = llvm::StructType::create(context_, {i32_, i32_, i32_, i32_}, "halide_dimension");
    call_ = llvm::StructType::create(context_, {i64_, i64_, i32_, i32_, ptr_}, "DnnCall");
    entryType_ = llvm::FunctionType::get(i32_, {ptr_}, false);
  }

  std::unique_ptr<llvm::Module> run() {
    declareKernels();
    defineMemory();
    std::vector<llvm::Constant*> entries;
    for (size_t i = 0; i < program_.entries.size(); ++i) {
      entries.push_back(defineEntry(program_.entries[i], firstDescriptor_[i]));
    }
    llvm::Function* bind = defineBind();
    defineModule(entries, bind);
    return std::move(module_);
  }

private:
  const StepProgram& program_;
  llvm::LLVMContext& context_;
  std::unique_ptr<llvm::Module> module_;
  llvm::IRBuilder<> ir_;
  llvm::Type *i8_, *i16_, *i32_, *i64_, *ptr_;
  llvm::StructType *buffer_, *dimension_, *call_;
  llvm::FunctionType* entryType_;

  std::vector<llvm::FunctionCallee> kernels_;
  std::vector<const Descriptor*> descriptors_; // of all entries
  std::vector<size_t> firstDescriptor_;        // by entry
  std::vector<size_t> firstDimension_;         // by descriptor
  llvm::GlobalVariable* buffers_ = nullptr;    // [n x halide_buffer]
  llvm::GlobalVariable* dimensions_ = nullptr; // [n x halide_dimension]
  llvm::GlobalVariable* persistent_ = nullptr; // base addresses
  llvm::GlobalVariable* arena_ = nullptr;
  llvm::GlobalVariable* ticks_ = nullptr; // timed programs: [0 x i64], the host's

  // Of the entry that is being made.
  const EntryCode* entry_ = nullptr;
  size_t firstOfEntry_ = 0; // descriptor
  llvm::Function* function_ = nullptr;
  std::vector<llvm::Value*> symbolValues_;
  llvm::Value *seedLo_ = nullptr, *seedHi_ = nullptr, *stepNumber_ = nullptr, *epoch_ = nullptr;
  llvm::BasicBlock* failed_ = nullptr;
  llvm::PHINode* code_ = nullptr;
  std::vector<llvm::Value*> pointers_; // what the pointers of the loops around show
  llvm::Value* now_ = nullptr;         // timed programs: the latest time stamp
  size_t callNumber_ = 0;

  llvm::GlobalVariable* global(llvm::Type* type, llvm::Constant* value, const char* name, bool constant) {
    return new llvm::GlobalVariable(*module_, type, constant, llvm::GlobalValue::InternalLinkage, value, name);
  }

  llvm::Constant* null() const { return llvm::Constant::getNullValue(ptr_); }

  void declareKernels() {
    for (const StepProgram::KernelSymbol& kernel : program_.kernels) {
      std::vector<llvm::Type*> types;
      for (const schedule::KernelArg& arg : kernel.args) {
        bool buffer = arg.kind == schedule::KernelArg::Kind::Input || arg.kind == schedule::KernelArg::Kind::Output;
        types.push_back(buffer ? ptr_ : i32_);
      }
      kernels_.push_back(module_->getOrInsertFunction(kernel.name, llvm::FunctionType::get(i32_, types, false)));
    }
  }

  /// The descriptors of all entries in one array, their dimensions in another, for the largest batch at first.
  void defineMemory() {
    for (const EntryCode& entry : program_.entries) {
      firstDescriptor_.push_back(descriptors_.size());
      for (const Descriptor& d : entry.descriptors) {
        descriptors_.push_back(&d);
      }
    }
    std::vector<llvm::Constant*> dimensions;
    for (size_t e = 0; e < program_.entries.size(); ++e) {
      std::vector<int64_t> largest;
      for (const Symbol& symbol : program_.entries[e].symbols) {
        largest.push_back(symbol.max);
      }
      for (const Descriptor& d : program_.entries[e].descriptors) {
        firstDimension_.push_back(dimensions.size());
        int64_t stride = 1;
        for (auto dim = d.dims.rbegin(); dim != d.dims.rend(); ++dim) {
          int64_t extent = dim->evaluate(largest);
          dimensions.push_back(
              llvm::ConstantStruct::get(dimension_, {ir_.getInt32(0), int32(extent), int32(stride), ir_.getInt32(0)}));
          stride *= extent;
        }
      }
    }
    auto* dimensionsType = llvm::ArrayType::get(dimension_, dimensions.size());
    dimensions_ = global(dimensionsType, llvm::ConstantArray::get(dimensionsType, dimensions), "dimensions", false);

    std::vector<llvm::Constant*> buffers;
    for (size_t i = 0; i < descriptors_.size(); ++i) {
      const Descriptor& d = *descriptors_[i];
      auto* type = llvm::ConstantStruct::get(
          llvm::cast<llvm::StructType>(buffer_->getElementType(4)),
          {ir_.getInt8(halideCode(d.dtype)), ir_.getInt8(halideBits(d.dtype)), ir_.getInt16(1)});
      llvm::Constant* dims = d.dims.empty() ? null() : dimensionAddress(firstDimension_[i]);
      buffers.push_back(
          llvm::ConstantStruct::get(buffer_, {ir_.getInt64(0), null(), null(), ir_.getInt64(0), type,
                                              ir_.getInt32(static_cast<uint32_t>(d.dims.size())), dims, null()}));
    }
    auto* buffersType = llvm::ArrayType::get(buffer_, buffers.size());
    buffers_ = global(buffersType, llvm::ConstantArray::get(buffersType, buffers), "buffers", false);
    persistent_ = global(ptr_, null(), "persistent", false);
    arena_ = global(ptr_, null(), "arena", false);
    if (program_.timed) {
      ticks_ = new llvm::GlobalVariable(*module_, llvm::ArrayType::get(i64_, 0), false,
                                        llvm::GlobalValue::ExternalLinkage, nullptr, "dnn_ticks");
    }
  }

  /// The time stamp, once everything before it has been executed; null in programs that are not timed.
  llvm::Value* readTicks() {
    return ticks_ == nullptr ? nullptr
                             : ir_.CreateExtractValue(ir_.CreateIntrinsic(llvm::Intrinsic::x86_rdtscp, {}), 0, "now");
  }

  /// Adds what has passed since the latest time stamp to element i, and begins anew.
  void noteTicks(size_t i) {
    if (ticks_ == nullptr) {
      return;
    }
    llvm::Value* now = readTicks();
    llvm::Constant* element = elementAddress(ticks_, i);
    ir_.CreateStore(ir_.CreateAdd(ir_.CreateLoad(i64_, element), ir_.CreateSub(now, now_)), element);
    now_ = now;
  }

  llvm::ConstantInt* int32(int64_t value) {
    DNN_ASSERT(value >= 0 && value <= INT32_MAX, "extents and strides fit into 32 bits");
    return ir_.getInt32(static_cast<uint32_t>(value));
  }

  llvm::Constant* elementAddress(llvm::GlobalVariable* array, size_t i) {
    return llvm::ConstantExpr::getInBoundsGetElementPtr(
        array->getValueType(), array, llvm::ArrayRef<llvm::Constant*>{ir_.getInt64(0), ir_.getInt64(i)});
  }
  llvm::Constant* dimensionAddress(size_t i) { return elementAddress(dimensions_, i); }
  llvm::Constant* bufferAddress(size_t i) { return elementAddress(buffers_, i); }

  llvm::Value* addressOf(const Place& place) {
    bool inArena = place.region == Place::Region::Arena;
    llvm::Value* base = ir_.CreateLoad(ptr_, inArena ? arena_ : persistent_);
    return ir_.CreateInBoundsGEP(i8_, base, ir_.getInt64(place.offset));
  }

  llvm::Value* addressOf(const Address& at) { return at.pointer ? pointers_.at(*at.pointer) : addressOf(at.place); }

  llvm::Value* callField(llvm::Function* function, unsigned field, const char* name) {
    llvm::Value* address = ir_.CreateStructGEP(call_, function->getArg(0), field);
    return ir_.CreateLoad(call_->getElementType(field), address, name);
  }

  /// Stores the base addresses, then the address of every buffer. Offsets are multiples of 64, so the lowest bit of an
  /// offset in the table can say that the arena is meant.
  llvm::Function* defineBind() {
    std::vector<uint64_t> homes;
    for (const Descriptor* d : descriptors_) {
      homes.push_back(d->at.place.offset | (d->at.place.region == Place::Region::Arena ? 1 : 0));
    }
    llvm::Constant* table = llvm::ConstantDataArray::get(context_, homes);
    llvm::GlobalVariable* homesGlobal = global(table->getType(), table, "homes", true);

    auto* type = llvm::FunctionType::get(ir_.getVoidTy(), {ptr_, ptr_}, false);
    auto* bind = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, "dnn_bind", *module_);
    auto* start = llvm::BasicBlock::Create(context_, "start", bind);
    ir_.SetInsertPoint(start);
    ir_.CreateStore(bind->getArg(0), persistent_);
    ir_.CreateStore(bind->getArg(1), arena_);
    auto* done = llvm::BasicBlock::Create(context_, "done", bind);
    if (homes.empty()) {
      ir_.CreateBr(done);
    } else {
      auto* loop = llvm::BasicBlock::Create(context_, "loop", bind, done);
      ir_.CreateBr(loop);
      ir_.SetInsertPoint(loop);
      llvm::PHINode* i = ir_.CreatePHI(i64_, 2, "i");
      i->addIncoming(ir_.getInt64(0), start);
      llvm::Value* home = ir_.CreateLoad(
          i64_, ir_.CreateInBoundsGEP(homesGlobal->getValueType(), homesGlobal, {ir_.getInt64(0), i}), "home");
      llvm::Value* inArena = ir_.CreateTrunc(home, ir_.getInt1Ty());
      llvm::Value* base = ir_.CreateSelect(inArena, bind->getArg(1), bind->getArg(0));
      llvm::Value* host = ir_.CreateInBoundsGEP(i8_, base, ir_.CreateAnd(home, ~uint64_t{63}), "host");
      llvm::Value* field =
          ir_.CreateInBoundsGEP(buffers_->getValueType(), buffers_, {ir_.getInt64(0), i, ir_.getInt32(HostField)});
      ir_.CreateStore(host, field);
      llvm::Value* next = ir_.CreateAdd(i, ir_.getInt64(1));
      i->addIncoming(next, loop);
      ir_.CreateCondBr(ir_.CreateICmpEQ(next, ir_.getInt64(homes.size())), done, loop);
    }
    ir_.SetInsertPoint(done);
    ir_.CreateRetVoid();
    return bind;
  }

  llvm::Function* defineEntry(const EntryCode& entry, size_t firstDescriptor) {
    auto* function =
        llvm::Function::Create(entryType_, llvm::GlobalValue::InternalLinkage, "dnn_" + entry.name, *module_);
    function->getArg(0)->setName("call");
    ir_.SetInsertPoint(llvm::BasicBlock::Create(context_, "start", function));
    entry_ = &entry;
    firstOfEntry_ = firstDescriptor;
    function_ = function;
    pointers_.assign(entry.pointers, nullptr);
    callNumber_ = 0;
    symbolValues_.clear();
    if (!entry.symbols.empty()) {
      symbolValues_.push_back(ir_.CreateTrunc(callField(function, 0, "rows"), i32_, entry.symbols[0].name));
      for (size_t i = 1; i < entry.symbols.size(); ++i) {
        llvm::Value* at = ir_.CreateConstInBoundsGEP1_64(i64_, callField(function, 4, "lengths"), i - 1);
        symbolValues_.push_back(ir_.CreateTrunc(ir_.CreateLoad(i64_, at), i32_, entry.symbols[i].name));
      }
      resize(function, entry, firstDescriptor, symbolValues_);
    }
    llvm::Value* seed = callField(function, 1, "seed");
    seedLo_ = ir_.CreateTrunc(seed, i32_);
    seedHi_ = ir_.CreateTrunc(ir_.CreateLShr(seed, 32), i32_);
    stepNumber_ = callField(function, 2, "step");
    epoch_ = callField(function, 3, "epoch");

    for (const EnvStore& store : entry.stores) {
      ir_.CreateStore(store.epoch ? epoch_ : stepNumber_, addressOf(store.to));
    }
    failed_ = llvm::BasicBlock::Create(context_, "failed", function);
    code_ = llvm::PHINode::Create(i32_, 0, "code", failed_);
    now_ = readTicks();
    emitCalls(entry.calls);
    for (const Copy& copy : entry.copies) {
      ir_.CreateMemCpy(addressOf(copy.to), llvm::Align(64), addressOf(copy.from), llvm::Align(64), copy.bytes);
    }
    for (const RowCopyCode& copy : entry.rowCopies) {
      emitRowCopy(copy);
    }
    noteTicks(callNumber_);
    ir_.CreateRet(ir_.getInt32(0));
    if (code_->getNumIncomingValues() == 0) {
      failed_->eraseFromParent();
    } else {
      llvm::IRBuilder<>(failed_).CreateRet(code_);
    }
    return function;
  }

  llvm::BasicBlock* newBlock(const char* name) { return llvm::BasicBlock::Create(context_, name, function_, failed_); }

  void emitCalls(const std::vector<CallCode>& calls) {
    for (const CallCode& call : calls) {
      if (call.loop != nullptr) {
        emitLoop(*call.loop);
      } else if (call.distinct) {
        emitDistinct(*call.distinct);
      } else if (call.fill) {
        emitFill(entry_->descriptors.at(call.fill->buffer), call.fill->bits);
        noteTicks(callNumber_++);
      } else {
        emitKernel(call);
        noteTicks(callNumber_++);
      }
    }
  }

  void emitDistinct(const DistinctCode& code) {
    auto* type = llvm::FunctionType::get(ir_.getVoidTy(), {ptr_, i64_, ptr_, ptr_, ptr_}, false);
    llvm::FunctionCallee function = module_->getOrInsertFunction("dnn_distinct", type);
    llvm::Value* count = ir_.CreateUDiv(bytesOf(code.extent), ir_.getInt64(4));
    ir_.CreateCall(function,
                   {addressOf(code.keys), count, addressOf(code.places), addressOf(code.rows), addressOf(code.count)});
  }

  void emitRowCopy(const RowCopyCode& code) {
    llvm::Value* count = ir_.CreateZExt(ir_.CreateLoad(i32_, addressOf(code.count)), i64_);
    llvm::Value* bytes = ir_.getInt64(code.bytes);
    auto* start = ir_.GetInsertBlock();
    auto* loop = newBlock("rows");
    auto* done = newBlock("rows_copied");
    ir_.CreateCondBr(ir_.CreateIsNull(count), done, loop);
    ir_.SetInsertPoint(loop);
    llvm::PHINode* i = ir_.CreatePHI(i64_, 2, "i");
    i->addIncoming(ir_.getInt64(0), start);
    llvm::Value* row = ir_.CreateZExt(ir_.CreateLoad(i32_, ir_.CreateInBoundsGEP(i32_, addressOf(code.rows), i)), i64_);
    llvm::Value* to = ir_.CreateInBoundsGEP(i8_, addressOf(code.to), ir_.CreateMul(row, bytes));
    llvm::Value* from = ir_.CreateInBoundsGEP(i8_, addressOf(code.from), ir_.CreateMul(i, bytes));
    ir_.CreateMemCpy(to, llvm::MaybeAlign(), from, llvm::MaybeAlign(), bytes);
    llvm::Value* next = ir_.CreateAdd(i, ir_.getInt64(1));
    i->addIncoming(next, loop);
    ir_.CreateCondBr(ir_.CreateICmpULT(next, count), loop, done);
    ir_.SetInsertPoint(done);
  }

  void emitKernel(const CallCode& call) {
    std::vector<llvm::Value*> args;
    for (const CallArg& arg : call.args) {
      switch (arg.kind) {
      case CallArg::Kind::Buffer: args.push_back(bufferAddress(firstOfEntry_ + arg.index)); break;
      case CallArg::Kind::Symbol: args.push_back(symbolValues_.at(arg.index)); break;
      case CallArg::Kind::SeedLo: args.push_back(seedLo_); break;
      case CallArg::Kind::SeedHi: args.push_back(seedHi_); break;
      case CallArg::Kind::Step: args.push_back(stepNumber_); break;
      case CallArg::Kind::Epoch: args.push_back(epoch_); break;
      case CallArg::Kind::Constant: args.push_back(ir_.getInt32(arg.index)); break;
      }
    }
    llvm::Value* result = ir_.CreateCall(kernels_[call.kernel], args);
    auto* next = newBlock("next");
    code_->addIncoming(result, ir_.GetInsertBlock());
    ir_.CreateCondBr(ir_.CreateICmpEQ(result, ir_.getInt32(0)), next, failed_);
    ir_.SetInsertPoint(next);
  }

  llvm::Value* bytesOf(const Extent& extent) {
    llvm::Value* bytes = ir_.getInt64(static_cast<uint64_t>(byteSize(extent.dtype)));
    for (const Dim& dim : extent.dims) {
      bytes = ir_.CreateMul(bytes, ir_.CreateZExt(evaluate(dim, symbolValues_), i64_));
    }
    return bytes;
  }

  void copy(llvm::Value* to, llvm::Value* from, const Extent& extent) {
    ir_.CreateMemCpy(to, llvm::MaybeAlign(), from, llvm::MaybeAlign(), bytesOf(extent));
  }

  /// The pointer shows this address from here on, and so do the descriptors that go by it.
  void setPointer(uint32_t pointer, llvm::Value* address) {
    pointers_.at(pointer) = address;
    for (size_t i = 0; i < entry_->descriptors.size(); ++i) {
      if (entry_->descriptors[i].at.pointer == pointer) {
        llvm::Value* field = ir_.CreateStructGEP(buffer_, bufferAddress(firstOfEntry_ + i), HostField);
        ir_.CreateStore(address, field);
      }
    }
  }

  /// What one carry has from step to step.
  struct CarryState {
    llvm::PHINode* current = nullptr; // what its pointer shows
    llvm::PHINode* to = nullptr;      // with two buffers: where its next goes, and the other one
    llvm::PHINode* other = nullptr;
  };

  void emitLoop(const LoopCode& loop) {
    llvm::Value* steps = evaluate(loop.steps, symbolValues_);
    std::vector<llvm::Value*> initial, last, others;
    for (const CarryPointer& carry : loop.carries) {
      initial.push_back(addressOf(carry.initial));
      last.push_back(addressOf(carry.last));
      others.push_back(carry.other ? addressOf(*carry.other) : nullptr);
    }
    std::vector<llvm::Value*> bases;
    for (const Cursor& cursor : loop.cursors) {
      bases.push_back(addressOf(cursor.base));
    }
    llvm::Value* odd = ir_.CreateTrunc(steps, ir_.getInt1Ty());
    auto* none = newBlock("no_steps");
    auto* start = newBlock("loop");
    auto* body = newBlock("step");
    auto* after = newBlock("after_loop");
    ir_.CreateCondBr(ir_.CreateICmpEQ(steps, ir_.getInt32(0)), none, start);
    ir_.SetInsertPoint(none);
    for (size_t i = 0; i < loop.carries.size(); ++i) {
      copy(last[i], initial[i], loop.carries[i].extent);
    }
    ir_.CreateBr(after);

    ir_.SetInsertPoint(start);
    std::vector<std::pair<llvm::Value*, llvm::Value*>> firstTwo; // of each carry: where its next goes, the other one
    for (size_t i = 0; i < loop.carries.size(); ++i) {
      firstTwo.emplace_back(loop.carries[i].other ? ir_.CreateSelect(odd, last[i], others[i]) : nullptr,
                            loop.carries[i].other ? ir_.CreateSelect(odd, others[i], last[i]) : nullptr);
    }
    ir_.CreateBr(body);
    ir_.SetInsertPoint(body);
    llvm::PHINode* k = ir_.CreatePHI(i32_, 2, "k");
    k->addIncoming(ir_.getInt32(0), start);
    llvm::PHINode* ticks = ticks_ == nullptr ? nullptr : ir_.CreatePHI(i64_, 2);
    if (ticks != nullptr) {
      ticks->addIncoming(now_, start);
      now_ = ticks;
    }
    std::vector<CarryState> states(loop.carries.size());
    for (size_t i = 0; i < states.size(); ++i) {
      auto phi = [&](llvm::Value* first) {
        llvm::PHINode* node = ir_.CreatePHI(ptr_, 2);
        node->addIncoming(first, start);
        return node;
      };
      states[i].current = phi(initial[i]);
      if (loop.carries[i].other) {
        states[i].to = phi(firstTwo[i].first);
        states[i].other = phi(firstTwo[i].second);
      }
    }
    if (loop.ends) {
      auto* ended = newBlock("ended");
      auto* run = newBlock("run_step");
      ir_.CreateCondBr(ir_.CreateIsNotNull(ir_.CreateLoad(ir_.getInt8Ty(), states[0].current)), ended, run);
      ir_.SetInsertPoint(ended);
      llvm::Value* left = ir_.CreateZExt(ir_.CreateSub(steps, k), i64_);
      for (size_t i = loop.cursors.size() - loop.emitted; i < loop.cursors.size(); ++i) {
        llvm::Value* bytes = bytesOf(loop.cursors[i].extent);
        llvm::Value* before = loop.reversed ? ir_.getInt64(0) : ir_.CreateMul(ir_.CreateZExt(k, i64_), bytes);
        llvm::Value* from = ir_.CreateInBoundsGEP(i8_, bases[i], before);
        ir_.CreateMemSet(from, ir_.getInt8(0), ir_.CreateMul(left, bytes), llvm::MaybeAlign());
      }
      for (size_t i = 0; i < states.size(); ++i) {
        copy(last[i], states[i].current, loop.carries[i].extent); // or it lies there already
      }
      ir_.CreateBr(after);
      ir_.SetInsertPoint(run);
    }
    llvm::Value* number = loop.reversed ? ir_.CreateSub(ir_.CreateSub(steps, ir_.getInt32(1)), k) : k;
    if (loop.counter) {
      ir_.CreateStore(number, addressOf(*loop.counter));
    }
    for (size_t i = 0; i < loop.cursors.size(); ++i) {
      llvm::Value* offset = ir_.CreateMul(ir_.CreateZExt(number, i64_), bytesOf(loop.cursors[i].extent));
      setPointer(loop.cursors[i].pointer, ir_.CreateInBoundsGEP(i8_, bases[i], offset));
    }
    for (size_t i = 0; i < states.size(); ++i) {
      setPointer(loop.carries[i].pointer, states[i].current);
      if (states[i].to != nullptr) {
        setPointer(loop.carries[i].next, states[i].to);
      }
    }
    emitCalls(loop.calls);
    for (const StepCopy& step : loop.copies) {
      copy(addressOf(step.to), addressOf(step.from), step.extent);
    }
    llvm::Value* next = ir_.CreateAdd(k, ir_.getInt32(1));
    auto* end = ir_.GetInsertBlock();
    k->addIncoming(next, end);
    if (ticks != nullptr) {
      ticks->addIncoming(now_, end);
    }
    for (size_t i = 0; i < states.size(); ++i) {
      states[i].current->addIncoming(pointers_.at(loop.carries[i].next), end);
      if (states[i].to != nullptr) {
        states[i].to->addIncoming(states[i].other, end);
        states[i].other->addIncoming(states[i].to, end);
      }
    }
    auto* done = newBlock("done");
    ir_.CreateCondBr(ir_.CreateICmpULT(next, steps), body, done);
    ir_.SetInsertPoint(done);
    for (const CarryPointer& carry : loop.carries) {
      if (!carry.other) {
        copy(addressOf(carry.last), pointers_.at(carry.next), carry.extent);
      }
    }
    ir_.CreateBr(after);
    ir_.SetInsertPoint(after);
    if (ticks_ != nullptr) {
      now_ = readTicks();
    }
  }

  void emitFill(const Descriptor& d, uint64_t bits) {
    auto size = static_cast<uint64_t>(byteSize(d.dtype));
    llvm::Value* bytes = bytesOf({d.dtype, d.dims});
    llvm::Value* to = addressOf(d.at);
    if (bits == 0) {
      ir_.CreateMemSet(to, ir_.getInt8(0), bytes, llvm::MaybeAlign());
      return;
    }
    llvm::Value* count = ir_.CreateUDiv(bytes, ir_.getInt64(size));
    llvm::Type* type = ir_.getIntNTy(static_cast<unsigned>(8 * size));
    auto* start = ir_.GetInsertBlock();
    auto* loop = newBlock("fill");
    auto* done = newBlock("filled");
    ir_.CreateBr(loop); // tensors have at least one element
    ir_.SetInsertPoint(loop);
    llvm::PHINode* i = ir_.CreatePHI(i64_, 2, "i");
    i->addIncoming(ir_.getInt64(0), start);
    ir_.CreateAlignedStore(llvm::ConstantInt::get(type, bits), ir_.CreateInBoundsGEP(type, to, i), llvm::Align(size));
    llvm::Value* next = ir_.CreateAdd(i, ir_.getInt64(1));
    i->addIncoming(next, loop);
    ir_.CreateCondBr(ir_.CreateICmpULT(next, count), loop, done);
    ir_.SetInsertPoint(done);
  }

  /// When the number of rows or a length is another than in the last call: rewrites the extents and strides that
  /// depend on them.
  void resize(llvm::Function* function, const EntryCode& entry, size_t firstDescriptor,
              const std::vector<llvm::Value*>& symbols) {
    std::vector<llvm::GlobalVariable*> known;
    llvm::Value* same = ir_.getTrue();
    for (size_t i = 0; i < symbols.size(); ++i) {
      std::string name = entry.name + "." + entry.symbols[i].name;
      known.push_back(global(i32_, int32(entry.symbols[i].max), name.c_str(), false));
      same = ir_.CreateAnd(same, ir_.CreateICmpEQ(symbols[i], ir_.CreateLoad(i32_, known[i])));
    }
    auto* change = llvm::BasicBlock::Create(context_, "resize", function);
    auto* run = llvm::BasicBlock::Create(context_, "run", function);
    ir_.CreateCondBr(same, run, change);
    ir_.SetInsertPoint(change);
    for (size_t i = 0; i < entry.descriptors.size(); ++i) {
      const std::vector<Dim>& dims = entry.descriptors[i].dims;
      size_t dimension = firstDimension_[firstDescriptor + i];
      llvm::Value* stride = ir_.getInt32(1);
      for (auto dim = dims.rbegin(); dim != dims.rend(); ++dim, ++dimension) {
        llvm::Value* extent = evaluate(*dim, symbols);
        storeUnlessConstant(extent, dimension, ExtentField);
        storeUnlessConstant(stride, dimension, StrideField);
        stride = ir_.CreateMul(stride, extent);
      }
    }
    for (size_t i = 0; i < symbols.size(); ++i) {
      ir_.CreateStore(symbols[i], known[i]);
    }
    ir_.CreateBr(run);
    ir_.SetInsertPoint(run);
  }

  llvm::Value* evaluate(const Dim& dim, const std::vector<llvm::Value*>& symbols) {
    llvm::Value* sum = llvm::ConstantInt::getSigned(i32_, dim.constant());
    for (const auto& [symbol, coefficient] : dim.terms()) {
      llvm::Value* term = symbols.at(symbol);
      if (coefficient != 1) {
        term = ir_.CreateMul(term, llvm::ConstantInt::getSigned(i32_, coefficient));
      }
      sum = ir_.CreateAdd(sum, term);
    }
    return sum;
  }

  void storeUnlessConstant(llvm::Value* value, size_t dimension, DimensionField field) {
    if (!llvm::isa<llvm::Constant>(value)) {
      ir_.CreateStore(value, ir_.CreateStructGEP(dimension_, dimensionAddress(dimension), field));
    }
  }

  void defineModule(const std::vector<llvm::Constant*>& entries, llvm::Function* bind) {
    auto* entriesType = llvm::ArrayType::get(ptr_, entries.size());
    llvm::GlobalVariable* table =
        global(entriesType, llvm::ConstantArray::get(entriesType, entries), "dnn_entries", true);
    llvm::Constant* bytes = llvm::ConstantDataArray::get(context_, program_.plan);
    llvm::GlobalVariable* plan = global(bytes->getType(), bytes, "dnn_plan", true);
    auto* type = llvm::StructType::create(context_, {i32_, i32_, ptr_, i64_, ptr_, ptr_, ptr_}, "DnnModule");
    llvm::Constant* next = llvm::Constant::getNullValue(ptr_);
    if (!program_.next.empty()) {
      next = new llvm::GlobalVariable(*module_, type, true, llvm::GlobalValue::ExternalLinkage, nullptr, program_.next);
    }
    auto* value = llvm::ConstantStruct::get(type, {ir_.getInt32(DNN_ABI_VERSION),
                                                   ir_.getInt32(static_cast<uint32_t>(entries.size())), plan,
                                                   ir_.getInt64(program_.plan.size()), bind, table, next});
    new llvm::GlobalVariable(*module_, type, true, llvm::GlobalValue::ExternalLinkage, value, program_.symbol);
  }
};

} // namespace

std::unique_ptr<llvm::Module> buildStepModule(const StepProgram& program, llvm::LLVMContext& context) {
  return StepBuilder(program, context).run();
}

} // namespace dnn::codegen

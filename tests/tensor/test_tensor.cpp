// Tensor handles: views, copies, element types, errors.

#include "tensor/tensor.h"

#include <cstring>
#include <vector>

#include "tests/tensor/error_message.h"

namespace convoy {
namespace {

Tensor counting(const Shape& shape) {
  Tensor tensor = Tensor::empty(shape);
  for (int64_t i = 0; i < tensor.count(); ++i) tensor.data<float>()[i] = static_cast<float>(i);
  return tensor;
}

TEST(Tensor, undefined_has_no_data) {
  const Tensor tensor;
  EXPECT_FALSE(tensor.defined());
  EXPECT_STREQ(error_of([&] { (void)tensor.data<float>(); }).what(), "tensor: data of an undefined tensor");
}

TEST(Tensor, constructors_fill_as_they_say) {
  EXPECT_EQ(Tensor::zeros({2, 3}, DType::i32).data<int32_t>()[5], 0);
  EXPECT_EQ(Tensor::full({2, 3}, 1.5f).data<float>()[5], 1.5f);
  EXPECT_EQ(Tensor::from(std::vector<float>{1, 2, 3}, {3}).data<float>()[2], 3);
  EXPECT_EQ(Tensor::from(std::vector<int32_t>{4, 5}, {2, 1}).data<int32_t>()[1], 5);
  EXPECT_STREQ(error_of([] {
                 Tensor::from(std::vector<float>{1, 2, 3}, {2});
               }).what(),
               "tensor: 3 values do not fill shape [2]");
}

TEST(Tensor, zeros_are_zero_in_memory_used_before) {
  { Tensor::full({1000}, 7); }
  const Tensor again = Tensor::zeros({1000});
  for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(again.data<float>()[i], 0);
}

TEST(Tensor, counts_bytes_by_its_element_type) {
  EXPECT_EQ(Tensor::empty({3, 5}, DType::f32).bytes(), 60);
  EXPECT_EQ(Tensor::empty({3, 5}, DType::bf16).bytes(), 30);
  EXPECT_EQ(Tensor::empty({3, 5}, DType::u8).bytes(), 15);
  EXPECT_EQ(Tensor::empty({3, 0, 5}).bytes(), 0);
  EXPECT_EQ(Tensor::empty({}).bytes(), 4);
}

TEST(Tensor, data_of_another_type_is_refused) {
  Tensor tensor = Tensor::empty({2}, DType::f16);
  EXPECT_NO_THROW(tensor.data<uint16_t>());
  EXPECT_STREQ(error_of([&] { tensor.data<float>(); }).what(),
               "tensor: f16 elements of [2] accessed as another type of 4 bytes");
}

TEST(Tensor, a_copied_handle_shares_memory_and_a_clone_does_not) {
  Tensor a = counting({4});
  Tensor handle = a, clone = a.clone();
  a.data<float>()[0] = 9;
  EXPECT_EQ(handle.data<float>()[0], 9);
  EXPECT_EQ(clone.data<float>()[0], 0);
  EXPECT_TRUE(a.shares_storage_with(handle));
  EXPECT_FALSE(a.shares_storage_with(clone));
}

TEST(Tensor, reshape_is_a_view_of_the_same_elements) {
  const Tensor a = counting({2, 6});
  const Tensor view = a.reshape({3, 4});
  EXPECT_EQ(view.shape(), (Shape{3, 4}));
  EXPECT_EQ(view.raw(), a.raw());
  EXPECT_STREQ(error_of([&] { (void)a.reshape({5}); }).what(), "reshape: [2,6] has 12 elements, [5] has 5");
}

TEST(Tensor, slices_take_rows_of_the_leading_axis_also_of_a_slice) {
  const Tensor a = counting({5, 3});
  const Tensor rows = a.slice(1, 4), last = rows.slice(2, 3);
  EXPECT_EQ(rows.shape(), (Shape{3, 3}));
  EXPECT_EQ(rows.data<float>()[0], 3);
  EXPECT_EQ(last.data<float>()[2], 11);
  EXPECT_EQ(a.slice(2, 2).count(), 0);
  EXPECT_EQ(last.clone().data<float>()[0], 9);
  for (const auto& [begin, end] : {std::pair{-1, 2}, {3, 2}, {0, 6}}) {
    EXPECT_THROW((void)a.slice(begin, end), Error) << begin << " " << end;
  }
  EXPECT_THROW((void)Tensor::empty({}).slice(0, 0), Error);
}

TEST(Tensor, a_slice_keeps_the_storage_alive) {
  Tensor slice;
  {
    const Tensor a = counting({100, 7});
    slice = a.slice(99, 100);
  }
  const Tensor other = Tensor::full({100, 7}, -1);
  EXPECT_EQ(slice.data<float>()[6], 699);
}

TEST(Tensor, empty_tensors_can_be_sliced_cloned_and_copied) {
  Tensor none = Tensor::zeros({0, 4});
  EXPECT_EQ(none.slice(0, 0).shape(), (Shape{0, 4}));
  EXPECT_EQ(none.clone().count(), 0);
  none.copy_from(Tensor::zeros({0, 4}));
  EXPECT_EQ(none.reshape({2, 0}).count(), 0);
}

TEST(Tensor, copy_from_needs_the_same_shape_and_type) {
  Tensor a = Tensor::zeros({2, 2});
  a.copy_from(counting({2, 2}));
  EXPECT_EQ(a.data<float>()[3], 3);
  EXPECT_STREQ(error_of([&] { a.copy_from(counting({4})); }).what(), "copy: f32 [4] into f32 [2,2]");
  EXPECT_STREQ(error_of([&] {
                 a.copy_from(Tensor::zeros({2, 2}, DType::i32));
               }).what(),
               "copy: i32 [2,2] into f32 [2,2]");
}

TEST(Tensor, item_is_the_value_of_one_element) {
  EXPECT_EQ(Tensor::full({1, 1}, 2.5f).item(), 2.5f);
  EXPECT_EQ(Tensor::full({}, 2.5f).item(), 2.5f);
  EXPECT_STREQ(error_of([] { (void)Tensor::zeros({2}).item(); }).what(), "item: [2] is not a single value");
}

TEST(Tensor, on_an_absent_device_is_refused) {
  EXPECT_EQ(error_of([] { Tensor::empty({1}, DType::f32, {Device::Kind::cuda, 0}); }).kind(), ErrorKind::device);
}

}  // namespace
}  // namespace convoy

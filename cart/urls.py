from django.urls import path

from cart.views import CartDetail, CartItem, CartItems

urlpatterns = [
    path("cart/<str:user_id>", CartDetail.as_view()),
    path("cart/<str:user_id>/items", CartItems.as_view()),
    # SKUs of imported catalogues may contain a slash.
    path("cart/<str:user_id>/items/<path:sku>", CartItem.as_view()),
]
